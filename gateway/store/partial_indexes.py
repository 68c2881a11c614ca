"""All tables with those indexes that hold a part of the rows: for who makes or compares tables, and for nobody else.

For their conditions SQLAlchemy loads all that it knows of both databases, a thirtieth of what a server would load.
Must not be here: tables, and indexes of all rows (`tables`).
"""

from __future__ import annotations

from sqlalchemy import Index, text

from gateway.store.tables import messages, metadata, threads

__all__ = ["metadata"]

Index(
    "ix_threads_owner",
    threads.c.project_id,
    threads.c.owner,
    threads.c.created_at,
    threads.c.seq,
    sqlite_where=text("owner IS NOT NULL"),
    postgresql_where=text("owner IS NOT NULL"),
)

Index(
    "ix_messages_run",
    messages.c.project_id,
    messages.c.thread_id,
    messages.c.run_id,
    messages.c.position,
    sqlite_where=text("run_id IS NOT NULL"),
    postgresql_where=text("run_id IS NOT NULL"),
)

Index(
    "ix_messages_changed",
    messages.c.project_id,
    messages.c.thread_id,
    messages.c.changed_position,
    sqlite_where=text("changed_position IS NOT NULL"),
    postgresql_where=text("changed_position IS NOT NULL"),
)
