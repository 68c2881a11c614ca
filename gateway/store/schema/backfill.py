"""Filling columns that a later version added, in rows of an earlier one: in batches, while servers run.

Must not be here: the columns (`tables`, and the script that adds them in `migrations/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, select, tuple_, update

from gateway.domain.message import SIMPLE_BEGIN, SIMPLE_END, Status
from gateway.store.schema import tables

if TYPE_CHECKING:
    from sqlalchemy import Column, Table
    from sqlalchemy.ext.asyncio import AsyncEngine

    Key = tuple[Any, ...]

_BATCH: Final = 1_000  # rows that one transaction locks: writers of them wait for some milliseconds
_COLUMNS: Final = tables.messages.c
_THREADS: Final = tables.threads.c


class _Filling(NamedTuple):
    """A column, which rows lack it, what it becomes, and a unique key with a value before all others."""

    column: Column[Any]
    is_lacking: ColumnElement[bool]
    value: ColumnElement[Any]
    key: tuple[Column[Any], ...]
    begin: Key


async def fill_columns(writer: AsyncEngine, batch: int = _BATCH) -> None:
    """Set the columns in all rows that lack them and are final; it can be repeated."""
    for filling in _FILLINGS:
        begin: Key | None = filling.begin
        while begin is not None:
            begin = await _fill_batch(writer, filling, begin, batch)


async def _fill_batch(writer: AsyncEngine, filling: _Filling, begin: Key, batch: int) -> Key | None:
    """Fill the rows after a key; return the key of the last of them, or None at the end of the table."""
    table: Table = filling.column.table
    key = tuple_(*filling.key)
    after = key > tuple_(*begin)
    last_of_batch = select(*filling.key).where(after).order_by(*filling.key)
    async with writer.begin() as connection:
        found = (await connection.execute(last_of_batch.offset(batch - 1).limit(1))).first()
        end: Key | None = None if found is None else tuple(found)
        within = after if end is None else and_(after, key <= tuple_(*end))
        lacking = update(table).where(within, filling.is_lacking)
        await connection.execute(lacking.values({filling.column: filling.value}))
    return end


def _is_plain_text() -> ColumnElement[Any]:
    r"""Compare whether content begins and ends like one plain text, with no quotation mark that ends it earlier.

    Escaped backslashes are removed before escaped quotation marks: the second one of `\\"` does not escape the mark.
    """
    begin, end, content = SIMPLE_BEGIN.decode(), SIMPLE_END.decode(), _COLUMNS.content
    length = func.length(content)
    text = func.substr(content, len(begin) + 1, length - len(begin) - len(end))
    unescaped = func.replace(func.replace(text, "\\\\", ""), '\\"', "")
    return and_(
        length >= len(begin) + len(end),
        func.substr(content, 1, len(begin)) == begin,
        func.substr(content, length - len(end) + 1) == end,
        func.length(func.replace(unescaped, '"', "")) == func.length(unescaped),
    )


_FILLINGS: Final = (
    _Filling(
        _COLUMNS.plain_text,
        and_(_COLUMNS.plain_text.is_(None), _COLUMNS.status != Status.IN_PROGRESS.value),
        case((_is_plain_text(), 1), else_=0),
        (_COLUMNS.project_id, _COLUMNS.thread_id, _COLUMNS.position),
        ("", "", -1),
    ),
    # The triggers of the change put a thread into the tables of its activity and metadata.
    _Filling(
        _THREADS.activity_at,
        _THREADS.activity_at.is_(None),
        tables.ACTIVITY_AT,
        (_THREADS.project_id, _THREADS.id),
        ("", ""),
    ),
)
