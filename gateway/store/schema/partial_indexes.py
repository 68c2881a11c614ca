"""All tables with their partial indexes: only for code that creates or compares tables.

For their conditions SQLAlchemy loads both dialects, a thirtieth of what a server would load.
Must not be here: tables, and indexes of all rows (`tables`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Index, text

from gateway.store.schema.tables import (
    assistants,
    deleted_messages,
    deleted_threads,
    messages,
    metadata,
    runs,
    thread_activity,
    threads,
)

if TYPE_CHECKING:
    from sqlalchemy import Column

__all__ = ["metadata"]

_OF_THREAD: Final = (messages.c.project_id, messages.c.thread_id)


def _where_not_null(column: Column[Any], name: str, *columns: Column[Any], unique: bool = False) -> None:
    """Create an index of the rows that have a value in a column."""
    condition = text(f"{column.name} IS NOT NULL")
    Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


_where_not_null(
    threads.c.owner,
    "ix_threads_owner",
    threads.c.project_id,
    threads.c.owner,
    threads.c.created_at,
    threads.c.seq,
)
_where_not_null(threads.c.filling, "ix_threads_filling", threads.c.filling)
_where_not_null(
    deleted_threads.c.owner, "ix_deleted_threads_owner", deleted_threads.c.project_id, deleted_threads.c.owner
)
_where_not_null(
    thread_activity.c.owner,
    "ix_thread_activity_owner",
    thread_activity.c.project_id,
    thread_activity.c.owner,
    thread_activity.c.activity_at,
    thread_activity.c.seq,
)
_where_not_null(messages.c.run_id, "ix_messages_run", *_OF_THREAD, messages.c.run_id, messages.c.position)
_where_not_null(messages.c.changed_position, "ix_messages_changed", *_OF_THREAD, messages.c.changed_position)
_IS_NEWS: Final = text("role = 'assistant' OR author IS NOT NULL")  # as in `statements.read_marks`
Index(
    "ix_messages_news",
    *_OF_THREAD,
    *(messages.c[name] for name in ("position", "role", "author")),
    sqlite_where=_IS_NEWS,
    postgresql_where=_IS_NEWS,
)
_where_not_null(runs.c.due_at, "ix_runs_due", runs.c.project_id, runs.c.due_at)

for _table in (threads, messages, deleted_threads, deleted_messages, runs, assistants):
    _where_not_null(
        _table.c.idempotency_key,
        f"uq_{_table.name}_idempotency_key",
        _table.c.project_id,
        _table.c.idempotency_scope,
        _table.c.idempotency_key,
        unique=True,
    )
for _table in (threads, messages, deleted_threads, deleted_messages):
    _numbered = text("change_number > 0")
    Index(
        f"ix_{_table.name}_change",
        _table.c.project_id,
        _table.c.change_number,
        sqlite_where=_numbered,
        postgresql_where=_numbered,
    )
