"""Pure builders of statements that only an import needs.

Must not be here: the rows of messages, which are copied (`engines.base.TransactionDriver.insert_rows`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, case, delete, func, null, select, update

from gateway.domain.thread import Inferred
from gateway.store.schema import tables
from gateway.store.statements.access import within
from gateway.store.statements.functions import among, as_text
from gateway.store.statements.idempotency import COLUMNS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Update
    from sqlalchemy.sql.dml import ReturningDelete

    from gateway.domain.principal import Reach
    from gateway.domain.thread import Thread


def lock_ends(reach: Reach, thread_ids: str) -> Select[Any]:
    """Select the ends of threads and what was inferred of them, and lock their rows until the transaction ends.

    The ids, here and in the next one, are an array of JSON.
    """
    ends = select(
        tables.threads.c.id,
        tables.threads.c.last_position,
        tables.threads.c.last_created_at,
        func.coalesce(tables.threads.c.inferred, 0),
        tables.threads.c.active_run,
        tables.threads.c.filling,
    )
    wanted = among(tables.threads.c.id, as_text(thread_ids))
    return ends.where(within(tables.threads, reach), wanted).with_for_update()


def any_deleted_message(reach: Reach) -> Select[Any]:
    """Select whether ids may be taken by deleted messages: one row, or none."""
    gone = tables.deleted_messages
    return select(gone.c.position).where(within(gone, reach)).limit(1)


def deleted_threads_of(reach: Reach, thread_ids: str) -> Select[Any]:
    """Select which threads were deleted: the id of each, its place in the list, and where a new one would begin."""
    gone = tables.deleted_threads
    wanted = among(gone.c.id, as_text(thread_ids))
    return select(gone.c.id, gone.c.seq, gone.c.generation).where(within(gone, reach), wanted)


def forget_deletion(reach: Reach, thread_id: str) -> ReturningDelete[Any]:
    """Delete what was stored of a deleted thread, and return what is stored of its idempotency key."""
    gone = tables.deleted_threads
    forgotten = delete(gone).where(within(gone, reach), gone.c.id == thread_id)
    return forgotten.returning(*[gone.c[name] for name in COLUMNS])


def fill_thread(reach: Reach, thread: Thread) -> Update:
    """Replace what is inferred of a thread by its own line, as a change at the next position."""
    position = tables.threads.c.last_position + 1

    def replace(field: Inferred, value: Any, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return case((tables.threads.c.inferred.bitwise_and(int(field)) != 0, value), else_=column)

    return (
        update(tables.threads)
        .where(within(tables.threads, reach), tables.threads.c.id == thread.id)
        .values(
            created_at=replace(Inferred.CREATED_AT, thread.created_at, tables.threads.c.created_at),
            metadata=replace(Inferred.METADATA, thread.metadata_json, tables.threads.c.metadata),
            tool_resources=replace(
                Inferred.TOOL_RESOURCES, thread.tool_resources_json, tables.threads.c.tool_resources
            ),
            owner=func.coalesce(tables.threads.c.owner, replace(Inferred.OWNER, thread.owner, null())),
            inferred=None,
            last_position=position,
            changed_position=position,
        )
    )
