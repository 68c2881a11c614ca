"""Pure builders of statements on how far readers have read threads.

Must not be here: who a reader is (`core.read_marks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, literal_column, or_, select, update

from gateway.domain.message import Role
from gateway.store.schema import tables
from gateway.store.statements.access import within

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.sql.dml import ReturningUpdate

    from gateway.domain.principal import Reach

_MARKS, _MESSAGES, _THREADS = tables.read_marks.c, tables.messages.c, tables.threads.c
_OF_THREAD = and_(_MESSAGES.project_id == _THREADS.project_id, _MESSAGES.thread_id == _THREADS.id)


def find_end(reach: Reach, thread_id: str, reader: str) -> Select[Any]:
    """Select the last position of a thread, and that of a reader in it, or null."""
    mark = select(_MARKS.position).where(_of_reader(reach, thread_id, reader)).scalar_subquery()
    return select(_THREADS.last_position, mark).where(within(tables.threads, reach), _THREADS.id == thread_id)


def lock_end(reach: Reach, thread_id: str) -> Select[Any]:
    """Select the last position of a thread and its owner, and lock its row until the transaction ends."""
    end = select(_THREADS.last_position, _THREADS.owner)
    return end.where(within(tables.threads, reach), _THREADS.id == thread_id).with_for_update()


def has_mark(reach: Reach, thread_id: str, reader: str) -> Select[Any]:
    """Select the position of a reader in a thread."""
    return select(_MARKS.position).where(_of_reader(reach, thread_id, reader))


def raise_mark(reach: Reach, thread_id: str, reader: str, position: int) -> ReturningUpdate[Any]:
    """Move a reader forward to a position; no row if the reader is there or further already."""
    raised = update(tables.read_marks).where(_of_reader(reach, thread_id, reader), _MARKS.position < position)
    return raised.values(position=position).returning(_MARKS.position)


def lower_mark(reach: Reach, thread_id: str, reader: str, position: int) -> ReturningUpdate[Any]:
    """Move a reader back to a position; no row if the reader is there or not so far."""
    lowered = update(tables.read_marks).where(_of_reader(reach, thread_id, reader), _MARKS.position > position)
    return lowered.values(position=position).returning(_MARKS.position)


def mark_of(reader: str) -> ColumnElement[int]:
    """Select the position of a reader in the thread of the enclosing statement; 0 where nothing was read."""
    mark: Select[Any] = select(_MARKS.position).where(
        _MARKS.project_id == _THREADS.project_id, _MARKS.thread_id == _THREADS.id, _MARKS.reader == reader
    )
    return func.coalesce(mark.correlate(tables.threads).scalar_subquery(), literal_column("0"))


def unread_columns(reader: str, most: int, *, has_last_read: bool) -> list[ColumnElement[Any]]:
    """Select how many messages a reader has not read in the thread of the enclosing statement.

    Shape: the count, which ends one above `most`, and, if asked for, the id of the last message that was read, or null.
    """
    read = mark_of(reader)
    counted = unread_after(read, reader).limit(most + 1).correlate(tables.threads).subquery("later")
    number = select(func.count()).select_from(counted).scalar_subquery()
    if not has_last_read:
        return [number.label("unread")]
    last = select(_MESSAGES.id).where(_OF_THREAD, _MESSAGES.position <= read).order_by(_MESSAGES.position.desc())
    return [
        number.label("unread"),
        last.limit(1).correlate(tables.threads).scalar_subquery().label("last_read"),
    ]


def unread_after(position: Any, reader: str) -> Select[Any]:
    """Select ones for what a reader may not have read after a position, in the thread of the enclosing statement.

    These are messages of assistants and of other readers; the author of any other message is not known.
    """
    is_answer = _MESSAGES.role == literal_column(f"'{Role.ASSISTANT.value}'")
    is_news = or_(is_answer, _MESSAGES.author.is_not(None))  # by which the index is found (migration 0016)
    of_others = or_(is_answer, _MESSAGES.author != reader)
    return select(literal_column("1").label("one")).where(_OF_THREAD, _MESSAGES.position > position, is_news, of_others)


def _of_reader(reach: Reach, thread_id: str, reader: str) -> ColumnElement[bool]:
    return and_(within(tables.read_marks, reach), _MARKS.thread_id == thread_id, _MARKS.reader == reader)
