"""The limit on the stored bytes of a page, and how PostgreSQL leaves out what follows the page.

SQLite yields rows one by one, so there it is enough to stop reading (`domain.page.take_page`). PostgreSQL sends all
selected rows: so the statement sums the bytes. Messages after the end of a page come without their texts; of runs,
steps and assistants only the first one comes, which shows that there is more. It knows the lengths of texts without
reading them, since they are stored out of line and compressed.
Must not be here: where a page begins and how many items it has at most (`messages`).
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from sqlalchemy import ColumnElement, Integer, Label, and_, case, cast, func, literal_column, or_, select, true
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from gateway.domain.message import Status
from gateway.domain.page import MAX_ANSWER_BYTES, MAX_BYTES
from gateway.store.schema import tables
from gateway.store.statements.access import within
from gateway.store.statements.functions import octets

if TYPE_CHECKING:
    from sqlalchemy import FromClause, Select

    from gateway.domain.principal import Reach

BYTES: Final = "bytes"  # the last column of a row
EDGES: Final = "edges"  # a column that does not depend on the row (`messages`)
_COMPUTED: Final = {BYTES, EDGES}  # before the texts of rows are left out
_TEXTS: Final = (tables.messages.c.content, tables.messages.c.attachments, tables.messages.c.metadata)
_KEY: Final = tables.messages.c.position
_COLUMNS: Final[frozenset[Any]] = frozenset(tables.messages.c)


def of_message(reach: Reach) -> Label[int]:
    """Select the stored bytes of a message; of one in progress also those of its deltas."""
    of_deltas = select(cast(func.coalesce(func.sum(octets(tables.message_deltas.c.text)), 0), Integer))
    of_deltas = of_deltas.where(
        within(tables.message_deltas, reach), tables.message_deltas.c.message_id == tables.messages.c.id
    )
    in_progress = tables.messages.c.status == Status.IN_PROGRESS.value
    content, attachments, metadata = map(octets, _TEXTS)
    return (content + attachments + metadata + case((in_progress, of_deltas.scalar_subquery()), else_=0)).label(BYTES)


def or_none(stored: Any) -> Label[int]:
    """Select the stored bytes of a message, or 0 where there is no message."""
    return func.coalesce(stored, literal_column("0")).label(BYTES)


def of_thread() -> ColumnElement[int]:
    """Select the stored bytes of a thread itself."""
    return octets(tables.threads.c.metadata) + octets(tables.threads.c.tool_resources)


def of_texts(*texts: ColumnElement[Any]) -> Label[int]:
    """Select the stored bytes of some columns, which may be null."""
    none = literal_column("0", Integer())
    return reduce(operator.add, [func.coalesce(octets(each), none) for each in texts]).label(BYTES)


def limit_rows(listed: Select[Any], *key: str, up: bool) -> Select[Any]:
    """Select the same page, without the rows that follow the first one after its end.

    Shape: the rows of `listed`, which has BYTES, in the order of a key.
    """
    page = listed.subquery("page")
    kept = _until(MAX_BYTES, page, [_directed(page.c[name], up=up) for name in key])
    return kept.order_by(*(_directed(kept.selected_columns[name], up=up) for name in key))


def limit_rows_unordered(found: Select[Any]) -> Select[Any]:
    """Select the same rows in any order, without those that follow the first one over the limit of a response."""
    return _until(MAX_ANSWER_BYTES, found.subquery("page"), None)


def limit_bytes(listed: Select[Any], *, up: bool) -> Select[Any]:
    """Select the same page, without the texts of rows after its end.

    Shape: the rows of `listed`, which has BYTES among its columns, in order of their positions.
    """
    page = _with_texts_of(listed, up=up).subquery("page")
    key = page.c[_KEY.name]
    return _shown(listed, page).order_by(key.asc() if up else key.desc())


def limit_bytes_of_each(listed: Select[Any], wanted: FromClause, most: int, *, up: bool) -> Select[Any]:
    """Select the same page for each row of `wanted`, without texts once all of them exceed the limit of a response.

    A page has at most so many rows; the one after them, which shows that there are more, does not count.
    Shape: the rows of `listed`, which may refer to `wanted`, and of each page in order.
    """
    page = _with_texts_of(listed, up=up, numbered=True).lateral("page")
    texts = [page.c[each.name].is_not(None) for each in _TEXTS if each.name in page.c]  # without any there is no cut
    of_page = case((and_(page.c.number <= most, *texts[:1]), page.c[BYTES]))
    held = func.sum(of_page).over(rows=(None, 0))
    all_of_them = select(*page.c, held.label("held")).select_from(wanted, page).subquery("counted")
    pages = select(*_only_where(all_of_them.c.held <= MAX_ANSWER_BYTES, all_of_them)).subquery("pages")
    return _shown(listed, pages)


def limit_bytes_beside(listed: Select[Any], threads: FromClause) -> Select[Any]:
    """Select a page of one row for each of some threads, with these, without texts once all exceed the same limit.

    Shape: the columns of `listed`, which may refer to `threads`, those of the thread, and BYTES.
    """
    message = _raw(listed).lateral("message")
    joined = select(*message.c, *threads.c).select_from(threads.outerjoin(message, true())).subquery("joined")
    page = _within(MAX_ANSWER_BYTES, joined, func.sum(joined.c[BYTES]).over(rows=(None, 0))).subquery("page")
    *shown, stored = _shown(listed, page).inner_columns
    return select(*shown, *(page.c[each.name] for each in threads.c), or_none(stored))


def limit_bytes_unordered(found: Select[Any]) -> Select[Any]:
    """Select the same messages, without the texts of those that exceed the limit of a response, in any order."""
    counted = _raw(found).subquery("counted")
    held = func.sum(counted.c[BYTES]).over(rows=(None, 0))
    return _shown(found, _within(MAX_ANSWER_BYTES, counted, held).subquery("page"))


def fits_page(held: Any, stored: Any) -> ColumnElement[bool]:
    """Compare whether a row is within the limit of a page, with all before it, or is the first of them."""
    return _fits(MAX_BYTES, held, stored)


def _with_texts_of(listed: Select[Any], *, up: bool, numbered: bool = False) -> Select[Any]:
    """Select the columns that rows are computed from, and the texts only of rows of the page."""
    counted = _raw(listed).subquery("counted")
    key = counted.c[_KEY.name]
    window: Any = {"order_by": key.asc() if up else key.desc(), "rows": (None, 0)}
    more = (func.count().over(**window).label("number"),) if numbered else ()
    return _within(MAX_BYTES, counted, func.sum(counted.c[BYTES]).over(**window), *more)


def _until(at_most: int, page: FromClause, order: list[ColumnElement[Any]] | None) -> Select[Any]:
    """Select rows up to the first one with which their sum exceeds a limit; whoever takes them omits that one.

    The first row may have any size, so the second one always comes.
    """
    window: Any = {"order_by": order, "rows": (None, 0)}
    counts = {"held": func.sum(page.c[BYTES]).over(**window), "number": func.count().over(**window)}
    rows = select(*page.c, *(each.label(f"of_{name}") for name, each in counts.items())).subquery("rows")
    is_kept = or_(rows.c.of_held - rows.c[BYTES] <= at_most, rows.c.of_number == literal_column("2"))
    return select(*(rows.c[each.name] for each in page.c)).where(is_kept)


def _directed(column: ColumnElement[Any], *, up: bool) -> ColumnElement[Any]:
    return column.asc() if up else column.desc()


def _within(at_most: int, counted: FromClause, held: ColumnElement[Any], *more: ColumnElement[Any]) -> Select[Any]:
    """Select rows with their texts while their sum is within a limit; the first one always has them."""
    rows = select(*counted.c, held.label("held"), *more).subquery("rows")
    return select(*_only_where(_fits(at_most, rows.c.held, rows.c[BYTES]), rows))


def _fits(at_most: int, held: Any, stored: Any) -> ColumnElement[bool]:
    return or_(held <= at_most, held == stored)


def _raw(listed: Select[Any]) -> Select[Any]:
    """Select the columns that those of a statement are computed from."""
    columns: list[Any] = list(listed.inner_columns)
    used = {_KEY}.union(*(iterate(each) for each in columns if not _is_computed(each)))
    computed = filter(_is_computed, columns)
    return listed.with_only_columns(*(each for each in tables.messages.c if each in used), *computed)


def _is_computed(shown: object) -> TypeGuard[Label[Any]]:
    return isinstance(shown, Label) and shown.name in _COMPUTED


def _only_where(kept: ColumnElement[bool], rows: FromClause) -> list[ColumnElement[Any]]:
    texts = {each.name for each in _TEXTS}
    shown = [each for each in rows.c if each.name != "held"]
    return [case((kept, each)).label(each.name) if each.name in texts else each for each in shown]


def _shown(listed: Select[Any], page: FromClause) -> Select[Any]:
    """Select the columns of a statement from the rows that they are computed from."""

    def from_page(element: Any, **_options: Any) -> Any:
        return page.c[element.name] if element in _COLUMNS else None

    shown: list[Any] = [page.c[each.name] if _is_computed(each) else each for each in listed.inner_columns]
    return select(*[replacement_traverse(each, {}, from_page) for each in shown])
