"""How many bytes are stored of what a page shows, and how PostgreSQL leaves out what no page holds.

SQLite gives rows one by one, so there it is enough to stop asking (`domain.page.take_page`). PostgreSQL sends all that
was asked for: so it counts along, and sends the rows after the end of a page without their texts. How long those are
it knows without reading them, since they are stored elsewhere and compressed.
Must not be here: where a page begins and how many items it has at most (`messages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Integer, Label, case, cast, func, or_, select
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from gateway.domain.message import Status
from gateway.domain.page import MAX_ANSWER_BYTES, MAX_BYTES
from gateway.store.schema import tables
from gateway.store.statements.access import within
from gateway.store.statements.functions import octets

if TYPE_CHECKING:
    from sqlalchemy import FromClause, Select

    from gateway.domain.principal import Reach

BYTES: Final = "bytes"  # a column behind those of a row
_TEXTS: Final = (tables.messages.c.content, tables.messages.c.attachments, tables.messages.c.metadata)
_KEY: Final = tables.messages.c.position
_COLUMNS: Final[frozenset[Any]] = frozenset(tables.messages.c)


def of_message(reach: Reach) -> Label[int]:
    """Count what is stored of a message; of one in progress also the text that it has gained."""
    gained = select(cast(func.coalesce(func.sum(octets(tables.message_deltas.c.text)), 0), Integer))
    gained = gained.where(
        within(tables.message_deltas, reach), tables.message_deltas.c.message_id == tables.messages.c.id
    )
    growing = tables.messages.c.status == Status.IN_PROGRESS.value
    content, attachments, metadata = map(octets, _TEXTS)
    return (content + attachments + metadata + case((growing, gained.scalar_subquery()), else_=0)).label(BYTES)


def of_thread() -> ColumnElement[int]:
    """Count what is stored of a thread itself."""
    return octets(tables.threads.c.metadata) + octets(tables.threads.c.tool_resources)


def limit_bytes(listed: Select[Any], *, up: bool) -> Select[Any]:
    """Select the same page, without the texts of what lies behind its end.

    Shape: the rows of `listed`, which has BYTES among its columns, in order of their positions.
    """
    page = _with_texts_of(listed, up=up).subquery("page")
    key = page.c[_KEY.name]
    return _shown(listed, page).order_by(key.asc() if up else key.desc())


def limit_bytes_of_each(listed: Select[Any], wanted: FromClause, *, up: bool) -> Select[Any]:
    """Select the same page for each row of `wanted`, and no texts once all of them are too many for one answer.

    Shape: the rows of `listed`, which may look at `wanted`, and of each page in order.
    """
    page = _with_texts_of(listed, up=up).lateral("page")
    held = func.sum(case((page.c.content.is_not(None), page.c[BYTES]))).over(rows=(None, 0))
    all_of_them = select(*page.c, held.label("held")).select_from(wanted, page).subquery("counted")
    pages = select(*_only_where(all_of_them.c.held <= MAX_ANSWER_BYTES, all_of_them)).subquery("pages")
    return _shown(listed, pages)


def limit_bytes_unordered(found: Select[Any]) -> Select[Any]:
    """Select the same messages, without the texts of those that are too many for one answer, whichever these are."""
    counted = _raw(found).subquery("counted")
    held = func.sum(counted.c[BYTES]).over(rows=(None, 0))
    return _shown(found, _within(MAX_ANSWER_BYTES, counted, held).subquery("page"))


def _with_texts_of(listed: Select[Any], *, up: bool) -> Select[Any]:
    """Select what rows are made of, and the texts only of those that a page holds."""
    counted = _raw(listed).subquery("counted")
    key = counted.c[_KEY.name]
    held = func.sum(counted.c[BYTES]).over(order_by=key.asc() if up else key.desc(), rows=(None, 0))
    return _within(MAX_BYTES, counted, held)


def _within(at_most: int, counted: FromClause, held: ColumnElement[Any]) -> Select[Any]:
    """Select rows with their texts, as long as what they hold together is no more; the first has them in any case."""
    rows = select(*counted.c, held.label("held")).subquery("rows")
    return select(*_only_where(or_(rows.c.held <= at_most, rows.c.held == rows.c[BYTES]), rows))


def _raw(listed: Select[Any]) -> Select[Any]:
    """Select the columns that those of a statement are made of."""
    columns: list[Any] = list(listed.inner_columns)
    used = {_KEY}.union(*(iterate(each) for each in columns if not _is_stored(each)))
    return listed.with_only_columns(*(each for each in tables.messages.c if each in used), *filter(_is_stored, columns))


def _is_stored(shown: object) -> bool:
    return isinstance(shown, Label) and bool(shown.name == BYTES)


def _only_where(kept: ColumnElement[bool], rows: FromClause) -> list[ColumnElement[Any]]:
    texts = {each.name for each in _TEXTS}
    shown = [each for each in rows.c if each.name != "held"]
    return [case((kept, each)).label(each.name) if each.name in texts else each for each in shown]


def _shown(listed: Select[Any], page: FromClause) -> Select[Any]:
    """Select the columns of a statement from the rows that they are made of."""

    def from_page(element: Any, **_options: Any) -> Any:
        return page.c[element.name] if element in _COLUMNS else None

    shown: list[Any] = [page.c[BYTES] if _is_stored(each) else each for each in listed.inner_columns]
    return select(*[replacement_traverse(each, {}, from_page) for each in shown])
