"""Pure builders of statements that delete threads: short ones at once, long ones first by hiding them.

Must not be here: how the other rows of a hidden thread are deleted (`erasing`).
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, and_, delete, exists, func, literal_column, select, union_all

from gateway.domain.principal import Reach
from gateway.store.schema import tables
from gateway.store.statements import threads
from gateway.store.statements.access import within
from gateway.store.statements.functions import octets
from gateway.store.statements.idempotency import COLUMNS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Delete, Select, Table
    from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate

_OWN: Final = tables.threads.c
_PLACE: Final = tuple(_OWN[name] for name in ("created_at", "seq", *COLUMNS))  # what a deleted thread leaves
_LARGE: Final = {
    tables.messages: ("content", "attachments", "metadata"),
    tables.message_deltas: ("text",),
    tables.runs: ("settings", "metadata", "required_action", "last_error", "incomplete", "usage"),
    tables.run_steps: ("details", "last_error", "usage"),
}
MANY_BYTES: Final = 1 << 20  # SQLite overwrites what it deletes: 30 ms of CPU
# What one statement deletes in a short time. Every message, delta, run and deleted message took a position.
_MESSAGES, _POSITIONS, _READERS, _BYTES, _NONE = (
    literal_column(str(each), Integer()) for each in (1_000, 10_000, 1_000, MANY_BYTES, 0)
)


def remove_thread(reach: Reach, thread_id: str) -> ReturningDelete[Any]:
    """Delete a thread with all its rows, if it is short.

    Shape: one row, the last position, the owner and `_PLACE`; none for an unknown thread, and for a long one.
    """
    own = (within(tables.threads, reach), _OWN.id == thread_id, _is_short(Reach(reach.project_id)))
    return delete(tables.threads).where(*own).returning(_OWN.last_position, _OWN.owner, *_PLACE)


def hide_thread(reach: Reach, thread_id: str) -> ReturningUpdate[Any]:
    """Hide a thread from all callers, as one whose creation was begun and abandoned long ago.

    Shape: as `threads.next_position`, then the run that locks it, or null, and `_PLACE`.
    """
    return threads.next_position(reach, thread_id).values(filling=0).returning(_OWN.active_run, *_PLACE)


def remove_hidden(reach: Reach, thread_id: str) -> Delete:
    """Delete the row of a thread that no caller reaches."""
    return delete(tables.threads).where(within(tables.threads, reach), _OWN.id == thread_id)


def bytes_of(table: Table) -> ColumnElement[int]:
    """Select the bytes of the texts of a row that can be long; all others are bounded."""
    sizes = (octets(table.c[name]) for name in _LARGE.get(table, ()))
    return reduce(operator.add, (func.coalesce(each, _NONE) for each in sizes), _NONE)


def _is_short(project: Reach) -> ColumnElement[bool]:
    """Compare the size of a thread with what is deleted in a short time.

    Bytes are summed row by row, and no further than the limit: SQLite reads a text to know its length.
    """
    positions = _OWN.last_position - func.coalesce(_OWN.generation, _NONE)
    readers = _of_thread(project, tables.read_marks, func.count()).scalar_subquery()
    sizes = union_all(*(_of_thread(project, table, bytes_of(table).label("size")) for table in _LARGE)).subquery(
        "sizes"
    )
    sums = select(func.sum(sizes.c.size).over(rows=(None, 0)).label("held")).subquery("sums")
    is_large = exists().where(sums.c.held > _BYTES)
    return and_(_OWN.message_count <= _MESSAGES, positions <= _POSITIONS, readers <= _READERS, ~is_large)


def _of_thread(project: Reach, table: Table, value: ColumnElement[Any]) -> Select[Any]:
    """Select from the rows of the enclosing statement's thread, which that narrows to the caller."""
    own = select(value).select_from(table).where(within(table, project), table.c.thread_id == _OWN.id)
    return own.correlate(tables.threads)
