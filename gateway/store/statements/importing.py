"""Pure builders of statements that only an import needs: what it meets, and what it may fill or bring back.

Must not be here: the rows of messages, which are copied (`dialect.insert_rows`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, case, delete, func, null, select, update

from gateway.domain.thread import Inferred
from gateway.store.schema import tables
from gateway.store.statements.access import within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Delete, Update

    from gateway.domain.principal import Reach
    from gateway.domain.thread import Thread


def lock_ends(reach: Reach, thread_ids: Sequence[str]) -> Select[Any]:
    """Select where threads end and what was inferred of them, and hold their rows until the transaction ends."""
    ends = select(
        tables.threads.c.id,
        tables.threads.c.last_position,
        tables.threads.c.last_created_at,
        func.coalesce(tables.threads.c.inferred, 0),
    )
    return ends.where(within(tables.threads, reach), tables.threads.c.id.in_(thread_ids)).with_for_update()


def deleted_threads_of(reach: Reach, thread_ids: Sequence[str]) -> Select[Any]:
    """Select which threads were deleted: the id of each, its place in the list, and where its next life begins."""
    gone = tables.deleted_threads
    return select(gone.c.id, gone.c.seq, gone.c.generation).where(within(gone, reach), gone.c.id.in_(thread_ids))


def forget_deletions(reach: Reach, thread_ids: Sequence[str]) -> Delete:
    """Delete what was kept of deleted threads."""
    return delete(tables.deleted_threads).where(
        within(tables.deleted_threads, reach), tables.deleted_threads.c.id.in_(thread_ids)
    )


def fill_thread(reach: Reach, thread: Thread) -> Update:
    """Let what is told of a thread take the place of what is still inferred of it, as a change at the next position."""
    position = tables.threads.c.last_position + 1

    def told(field: Inferred, value: Any, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return case((tables.threads.c.inferred.bitwise_and(int(field)) != 0, value), else_=column)

    return (
        update(tables.threads)
        .where(within(tables.threads, reach), tables.threads.c.id == thread.id)
        .values(
            created_at=told(Inferred.CREATED_AT, thread.created_at, tables.threads.c.created_at),
            metadata=told(Inferred.METADATA, thread.metadata_json, tables.threads.c.metadata),
            tool_resources=told(Inferred.TOOL_RESOURCES, thread.tool_resources_json, tables.threads.c.tool_resources),
            owner=func.coalesce(tables.threads.c.owner, told(Inferred.OWNER, thread.owner, null())),
            inferred=None,
            last_position=position,
            changed_position=position,
        )
    )
