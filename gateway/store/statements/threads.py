"""Pure builders of statements on threads, and on the positions that they allocate.

Every statement begins with what the caller can reach (`access`).
Must not be here: what the rows mean (`rows`), messages (`messages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, case, exists, func, literal_column, null, select, update

from gateway.domain.direction import MAX_SKEW_S
from gateway.store.schema import tables
from gateway.store.statements.access import within
from gateway.store.statements.functions import among, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, ScalarSelect, Select, Update
    from sqlalchemy.sql.dml import ReturningUpdate

    from gateway.domain.principal import Reach
    from gateway.domain.thread import Inferred

THREAD_COLUMNS: Final = (  # in the order of the fields of `domain.thread.Thread`
    tables.threads.c.id,
    tables.threads.c.created_at,
    tables.threads.c.metadata,
    tables.threads.c.tool_resources,
    tables.threads.c.message_count,
    tables.threads.c.owner,
    tables.threads.c.idempotency_key,
    tables.ACTIVITY_AT.label("activity_at"),
)
# As text, since each parameter of a statement is bound anew.
ONE, _MS, _MOST_SKEW = (literal_column(str(each), BigInteger()) for each in (1, 1_000, MAX_SKEW_S))


def get_threads(reach: Reach, thread_ids: Sequence[str]) -> Select[Any]:
    """Select threads by their ids, in no order."""
    return select(*columns_for(reach)).where(within(tables.threads, reach), tables.threads.c.id.in_(thread_ids))


def threads_by_ids(reach: Reach, thread_ids: str) -> Select[Any]:
    """Select the same of an array of JSON, so that all numbers of ids have one statement."""
    wanted = among(tables.threads.c.id, as_text(thread_ids))
    return select(*columns_for(reach)).where(within(tables.threads, reach), wanted)


def has_place_among_threads(reach: Reach, thread_id: str) -> Select[Any]:
    """Select whether a cursor names a living or deleted thread."""
    gone = tables.deleted_threads
    return select(
        exists().where(within(tables.threads, reach), tables.threads.c.id == thread_id)
        | exists().where(within(gone, reach), gone.c.id == thread_id)
    )


def take_positions(
    reach: Reach, thread_id: str, count: int | ColumnElement[int], active_at: int, run_id: str | None = None
) -> Update:
    """Allocate the next positions of a thread, under its row's lock, and count the messages that will have them.

    They are an activity of the thread, at a time in milliseconds.
    Shape: one row, the last position and the second that the messages get, or none for an unknown thread, and for one
    that another run than the given one locks. The lock lasts until commit, so the order of positions is the order of
    commits. With small clock differences, no message is older than the one before it; time alone gives no order
    (`_later`).
    """
    lock = tables.threads.c.active_run
    return (
        update(tables.threads)
        .where(within(tables.threads, reach), tables.threads.c.id == thread_id)
        .where(lock.is_(None) if run_id is None else lock == run_id)
        .values(
            last_position=tables.threads.c.last_position + count,
            message_count=tables.threads.c.message_count + count,
            last_created_at=_later(active_at),
            activity_at=_next_activity(active_at),
        )
        .returning(tables.threads.c.last_position, tables.threads.c.last_created_at, tables.threads.c.owner)
    )


def take_position(reach: Reach, thread_id: str, active_at: int) -> Update:
    """Do the same for one message, in a thread that no run locks."""
    return take_positions(reach, thread_id, ONE, active_at)


def next_position(reach: Reach, thread_id: str | ScalarSelect[str]) -> ReturningUpdate[Any]:
    """Allocate one position of a thread for a change, under its row's lock.

    Shape: one row of the position, the thread's id and its owner, or none for an unknown thread.
    """
    further = tables.threads.c.last_position + ONE
    moved = update(tables.threads).where(within(tables.threads, reach), tables.threads.c.id == thread_id)
    return moved.values(last_position=further).returning(
        tables.threads.c.last_position, tables.threads.c.id, tables.threads.c.owner
    )


def begin_change(reach: Reach, thread_id: str) -> ReturningUpdate[Any]:
    """Do the same, and return the thread itself, as THREAD_COLUMNS after the others."""
    return next_position(reach, thread_id).returning(*columns_for(reach))


def next_position_of_message(reach: Reach, message_id: str) -> ReturningUpdate[Any]:
    """Do the same for the thread of a message; no row for an unknown message."""
    owned = select(tables.messages.c.thread_id).where(
        within(tables.messages, reach), tables.messages.c.id == message_id
    )
    return next_position(reach, owned.scalar_subquery())


def begin_finish(reach: Reach, message_id: str, active_at: int) -> ReturningUpdate[Any]:
    """Do the same, as an activity of the thread, at a time in milliseconds."""
    return next_position_of_message(reach, message_id).values(activity_at=_next_activity(active_at))


def move_end(reach: Reach, thread_id: str, position: int, second: int) -> Update:
    """Set the end of a thread after messages were added to it without a gap."""
    moved = update(tables.threads).where(within(tables.threads, reach), tables.threads.c.id == thread_id)
    further = tables.threads.c.message_count + position - tables.threads.c.last_position
    return moved.values(message_count=further, last_position=position, last_created_at=second)


def set_thread(reach: Reach, thread_id: str, given: Inferred, values: Mapping[str, str | int]) -> Update:
    """Update columns of one thread, of which some are given by a client from now on and not inferred."""
    inferred = tables.threads.c.inferred.bitwise_and(~int(given))
    return (
        update(tables.threads)
        .where(within(tables.threads, reach), tables.threads.c.id == thread_id)
        .values({**values, "inferred": inferred})
    )


def uncount_messages(reach: Reach, thread_id: str, count: int) -> Update:
    """Decrement the message count of a thread."""
    fewer = tables.threads.c.message_count - count
    return (
        update(tables.threads)
        .where(within(tables.threads, reach), tables.threads.c.id == thread_id)
        .values(message_count=fewer)
    )


def count_threads(reach: Reach) -> Select[Any]:
    """Count the threads that a caller can reach; the number is not stored, since all creations would wait for its row.

    Those that are not whole are counted apart, so that rows are counted by an index alone.
    """
    counted = select(func.count()).select_from(tables.threads).where(within(tables.threads, reach.and_unfinished()))
    unfinished = counted.where(tables.threads.c.filling.is_not(None))
    return select(counted.scalar_subquery() - unfinished.scalar_subquery())


def columns_for(reach: Reach) -> list[Any]:
    """Return THREAD_COLUMNS as a caller may read them: a token for one thread does not get its owner."""
    hidden = null().label("owner")
    return [
        hidden if each is tables.threads.c.owner and reach.thread_id is not None else each for each in THREAD_COLUMNS
    ]


def _next_activity(active_at: int) -> ColumnElement[int]:
    """Return the time of an activity: later than the last one, unless that is too far ahead of the clock."""
    last = tables.ACTIVITY_AT
    return case((last > active_at + _MOST_SKEW * _MS, active_at), (last >= active_at, last + ONE), else_=active_at)


def _later(active_at: int) -> ColumnElement[int]:
    """Take the second of the last message, unless it is further ahead than clocks differ: a jump is ignored then."""
    last, second = tables.threads.c.last_created_at, active_at // _MS
    return case((last.between(second, second + _MOST_SKEW), last), else_=second)
