"""Filling columns that a later version added, in rows of an earlier one: in batches, while servers run.

Must not be here: the columns (`tables`, and the script that adds them in `migrations/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, case, func, select, tuple_, update

from gateway.domain.message import SIMPLE_BEGIN, SIMPLE_END, Status
from gateway.store.schema import tables

if TYPE_CHECKING:
    from sqlalchemy import Column, Select
    from sqlalchemy.ext.asyncio import AsyncEngine

    Key = tuple[Any, ...]

_BATCH: Final = 1_000  # rows that one transaction locks: writers of them wait for some milliseconds
_COLUMNS: Final = tables.messages.c
_THREADS: Final = tables.threads.c


class ColumnFilling(NamedTuple):
    """A column, which rows lack it, what it becomes, and a unique key with a value before all others."""

    column: Column[Any]
    is_lacking: ColumnElement[bool]
    value: ColumnElement[Any]
    key: tuple[Column[Any], ...]
    begin: Key


async def fill_columns(writer: AsyncEngine, batch: int = _BATCH) -> None:
    """Set the columns in all rows that lack them and are final; it can be repeated."""
    for filling in FILLINGS:
        begin: Key | None = filling.begin
        while begin is not None:
            begin = await _fill_batch(writer, filling, begin, batch)


async def _fill_batch(writer: AsyncEngine, filling: ColumnFilling, begin: Key, batch: int) -> Key | None:
    """Fill the rows after a key; return the key of the last of them, or None at the end of the table.

    Each is looked up by its key: between two keys, SQLite would read all rows of the project by another index.
    """
    async with writer.begin() as connection:
        found = (await connection.execute(read_after(filling, begin, batch))).all()
        if lacking := [key for *key, is_lacking in found if is_lacking]:
            own = [column == bindparam(f"own_{column.name}") for column in filling.key]
            fill = update(filling.column.table).where(*own, filling.is_lacking)
            keys = [
                {f"own_{column.name}": value for column, value in zip(filling.key, key, strict=True)} for key in lacking
            ]
            await connection.execute(fill.values({filling.column: filling.value}), keys)
    return None if len(found) < batch else tuple(found[-1])[:-1]


def read_after(filling: ColumnFilling, begin: Key, batch: int) -> Select[Any]:
    """Select the keys of a number of rows after a key, and whether they lack the column."""
    found = select(*filling.key, filling.is_lacking).where(tuple_(*filling.key) > tuple_(*begin))
    return found.order_by(*filling.key).limit(batch)


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


FILLINGS: Final = (
    ColumnFilling(
        _COLUMNS.plain_text,
        and_(_COLUMNS.plain_text.is_(None), _COLUMNS.status != Status.IN_PROGRESS.value),
        case((_is_plain_text(), 1), else_=0),
        (_COLUMNS.project_id, _COLUMNS.thread_id, _COLUMNS.position),
        ("", "", -1),
    ),
    # The triggers of the change put a thread into the tables of its activity and metadata.
    ColumnFilling(
        _THREADS.activity_at,
        _THREADS.activity_at.is_(None),
        tables.ACTIVITY_AT,
        (_THREADS.project_id, _THREADS.id),
        ("", ""),
    ),
)
