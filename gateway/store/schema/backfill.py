"""Filling columns that a later version added, in rows of an earlier one: in batches, while servers run.

Must not be here: the columns (`tables`, and the script that adds them in `migrations/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, case, func, select, tuple_, update

from gateway.domain.message import SIMPLE_BEGIN, SIMPLE_END, Status
from gateway.store.schema import tables

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    Key = tuple[str, str, int]

_BATCH: Final = 1_000  # messages that one transaction locks: writers of them wait for some milliseconds
_BEFORE_ALL: Final[Key] = ("", "", -1)
_COLUMNS: Final = tables.messages.c


async def fill_plain_text(writer: AsyncEngine, batch: int = _BATCH) -> None:
    """Set `plain_text` in all messages whose content is final and that have no mark; it can be repeated."""
    begin: Key | None = _BEFORE_ALL
    while begin is not None:
        begin = await _fill_batch(writer, begin, batch)


async def _fill_batch(writer: AsyncEngine, begin: Key, batch: int) -> Key | None:
    """Fill the messages after a key; return the key of the last of them, or None at the end of the table."""
    columns = tables.messages.primary_key.columns
    key = tuple_(*columns)
    after = key > tuple_(*begin)
    last_of_batch = select(*columns).where(after).order_by(*columns)
    async with writer.begin() as connection:
        found = (await connection.execute(last_of_batch.offset(batch - 1).limit(1))).first()
        end: Key | None = None if found is None else (found[0], found[1], found[2])
        within = after if end is None else and_(after, key <= tuple_(*end))
        unmarked = and_(_COLUMNS.plain_text.is_(None), _COLUMNS.status != Status.IN_PROGRESS.value)
        await connection.execute(
            update(tables.messages).where(within, unmarked).values(plain_text=case((_is_plain_text(), 1), else_=0))
        )
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
