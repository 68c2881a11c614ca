"""Pure builders of statements that list threads, by creation or activity, all or filtered.

A filter is values (`domain.thread_list.ThreadFilter.values`), so there are few statements: the conditions on metadata
are one text of JSON, and only a pair by whose index a list is read has parameters of its own.
Must not be here: what else is read of each (`beside`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from gateway.store.schema import tables
from gateway.store.statements.access import within
from gateway.store.statements.functions import (
    among,
    among_selected,
    compared_alone,
    json_text_at,
    json_values,
    looked_up,
)
from gateway.store.statements.paging import cursor_bounds, limited, past_cursor
from gateway.store.statements.read_marks import mark_of, unread_after
from gateway.store.statements.threads import columns_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, FromClause, ScalarSelect, Select, Table

    from gateway.domain.page import PageRequest
    from gateway.domain.principal import Reach

    _Key = tuple[ColumnElement[Any], ...]

Values = dict[str, Any]

_THREADS: Final = tables.threads.c
_PAIRS: Final = tables.thread_metadata.c
_ZERO: Final = literal_column("0", Integer())  # added to a column by which neither database must sort
# Of the numbers of threads: before and after all.
_FIRST: Final = literal_column(str(-(1 << 63) + 1), BigInteger())
_LAST: Final = literal_column(str((1 << 63) - 1), BigInteger())
# The time of rows that are in no order. As a subquery: so PostgreSQL's planner does not know that many rows have it.
_NONE: Final = select(literal_column("-1", BigInteger())).scalar_subquery()


class _Bounds(NamedTuple):
    """The times, inclusive, between which the threads of a list are."""

    least: Any
    most: Any


def list_created(reach: Reach, page: PageRequest, values: Values, inclusive: bool = False) -> Select[Any]:
    """Select one page of the threads that a filter matches, if there is one, by creation, and one row more.

    Shape: at most `page.limit + 1` rows of THREAD_COLUMNS, in the order of the scan (`paging.is_ascending`); with
    `inclusive`, also the thread at a cursor. Of a pair, it is read from its index, which is in this order.
    Source: Relay Cursor Connections, "Pagination algorithm".
    """
    key: _Key = (_THREADS.created_at, _THREADS.seq)
    if _is_by_few(values):
        key, listed = (_THREADS.created_at + _ZERO, _THREADS.seq), _found_among_few(reach, values, columns_for(reach))
    elif _is_by_pair(reach, values):
        key = (_PAIRS.created_at, _PAIRS.seq)
        listed = _found_by(tables.thread_metadata, columns_for(reach), reach, values).where(*_of_pair(reach, values))
    else:
        listed = select(*columns_for(reach)).where(within(tables.threads, reach), *_conditions(reach, values))
    bounds = _Bounds(values["created_least"], values["created_most"])
    places = [_tightened(reach, cursor, None, bounds, up=up) for cursor, up in cursor_bounds(page)]
    return _page(listed, key, page, places, bounds, inclusive=inclusive)


def list_active(reach: Reach, page: PageRequest, values: Values, inclusive: bool = False) -> Select[Any]:
    """Select one page of threads by activity, and one row more; the times of cursors are values too.

    Shape: as of `list_created`.
    """
    bounds = _Bounds(values["active_least"], values["active_most"])
    times = {page.after: "after_at", page.before: "before_at"}
    places = [_tightened(reach, cursor, values[times[cursor]], bounds, up=up) for cursor, up in cursor_bounds(page)]
    paged = partial(_page, page=page, places=places, bounds=bounds, inclusive=inclusive)
    if _is_by_few(values):
        return paged(_found_among_few(reach, values, columns_for(reach)), (tables.ACTIVITY_AT, _THREADS.seq))
    if _is_by_pair(reach, values):
        return _of_both_kinds(reach, values, page, paged)
    order = tables.thread_activity
    narrowed = [order.c.project_id == reach.project_id]
    if reach.owner is not None:
        narrowed.append(order.c.owner == reach.owner)
    listed = _found_by(order, columns_for(reach), reach, values).where(*narrowed)
    return paged(listed, (order.c.activity_at, order.c.seq))


def _of_both_kinds(reach: Reach, values: Values, page: PageRequest, paged: Callable[..., Select[Any]]) -> Select[Any]:
    """Select a page of the threads of a pair: of rows in the order of activity, and of those that are in none.

    The latter are few and sorted here; nearly always there are only rows of one kind. Either could fill the page.
    """
    order, own = tables.thread_metadata, _of_pair(reach, values)
    key = (_PAIRS.activity_at, _PAIRS.seq)
    is_pair_alone = reach.thread_id is None and not _conditions(reach, values)
    ordered = select(*key).where(_is_whole(reach)) if is_pair_alone else _found_by(order, [*key], reach, values)
    ordered = ordered.where(*own)
    # Each thread by itself, and once for all conditions: PostgreSQL might join all threads, or look each up repeatedly.
    at = select(tables.ACTIVITY_AT).where(_PAIRS.seq == _THREADS.seq, *_looked_up(reach, values))
    in_none = select(at.correlate(order).scalar_subquery().label("activity_at"), _PAIRS.seq)
    in_none = in_none.where(*own, _PAIRS.activity_at.between(_NONE, _NONE))
    in_none = in_none.order_by(*key)  # as the index is that has no other rows between them
    found = in_none.limit(_LAST).subquery("unordered").c
    pages = paged(ordered, key), paged(select(*found), (found.activity_at, found.seq))
    numbers = union_all(*(select(each.subquery().c.seq) for each in pages)).scalar_subquery()
    listed = select(*columns_for(reach)).where(looked_up(_THREADS.project_id) == reach.project_id)
    return limited(listed.where(among_selected(_THREADS.seq, numbers)), (tables.ACTIVITY_AT, _THREADS.seq), page)


def count_filtered(reach: Reach, values: Values) -> Select[Any]:
    """Count the threads that a filter matches."""
    if _is_by_few(values):
        return _found_among_few(reach, values, [func.count()])
    counted = select(func.count()).select_from(tables.threads)
    if _is_by_pair(reach, values):
        counted = counted.join(tables.thread_metadata, _PAIRS.seq == _THREADS.seq).where(*_of_pair(reach, values))
    return counted.where(within(tables.threads, reach), *_conditions(reach, values))


def count_some(reach: Reach, condition: Values, most: int) -> Select[Any]:
    """Count the threads that fulfil one condition (`ThreadFilter.narrowing`), up to a number."""
    return select(func.count()).select_from(_numbers_of(reach, condition).limit(most).subquery())


def _tightened(reach: Reach, cursor: str, at: Any, bounds: _Bounds, *, up: bool) -> tuple[ScalarSelect[Any], bool]:
    """Select the place of a cursor, or of a bound that is nearer, and whether the rows of the page have higher keys.

    Given two bounds of one side, either database might begin to read at the farther one. An unknown cursor has no
    place.
    """
    bound, edge = (bounds.least, _FIRST) if up else (bounds.most, _LAST)

    def place(table: FromClause) -> Select[Any]:
        time = table.c.created_at if at is None else cast(at, BigInteger)
        is_outside = time < bound if up else time > bound
        found = select(case((is_outside, bound), else_=time), case((is_outside, edge), else_=table.c.seq))
        return found.where(within(table, reach), table.c.id == cursor)

    places = union_all(*map(place, (tables.threads.alias("cursor"), tables.deleted_threads)))
    return places.scalar_subquery(), up


def _page(
    listed: Select[Any],
    key: _Key,
    page: PageRequest,
    places: list[tuple[ScalarSelect[Any], bool]],
    bounds: _Bounds,
    *,
    inclusive: bool,
) -> Select[Any]:
    """Bound threads by cursors, and by times on the sides without one."""
    compared = [past_cursor(key, place, up=up, inclusive=inclusive) for place, up in places]
    bounded = {up for _, up in places}
    if True not in bounded:
        compared.append(key[0] >= bounds.least)
    if False not in bounded:
        compared.append(key[0] <= bounds.most)
    return limited(listed.where(*compared), key, page)


def _found_by(order: Table, columns: list[Any], reach: Reach, values: Values) -> Select[Any]:
    """Select the threads that a filter matches, looking each up by its number in another table, in that one's order."""
    found = select(*columns).select_from(tables.threads).join(order, order.c.seq == _THREADS.seq)
    return found.where(*_looked_up(reach, values))


def _found_among_few(reach: Reach, values: Values, columns: list[Any]) -> Select[Any]:
    """Select of the threads that a filter matches, looking up each of the few that fulfil one of its conditions."""
    few = _numbers_of(reach, values).scalar_subquery()
    return (
        select(*columns)
        .select_from(tables.threads)
        .where(among_selected(_THREADS.seq, few), *_looked_up(reach, values))
    )


def _is_whole(reach: Reach) -> ColumnElement[bool]:
    """Omit pairs of threads that are not whole. There is hardly ever one, so their index is read, and no thread."""
    filled = tables.threads.alias("filled").c
    unfinished = select(filled.seq).where(looked_up(filled.project_id) == reach.project_id, filled.filling.is_not(None))
    return _PAIRS.seq.not_in(unfinished)


def _looked_up(reach: Reach, values: Values) -> list[ColumnElement[bool]]:
    """Compare a thread that is found by its number with the reach and the filter."""
    bounds = [(_THREADS.id, reach.thread_id), (_THREADS.owner, reach.owner)]
    reached = [_THREADS.filling.is_(None), *(column == wanted for column, wanted in bounds if wanted is not None)]
    return [looked_up(_THREADS.project_id) == reach.project_id, *_conditions(reach, values, *reached)]


def _numbers_of(reach: Reach, condition: Values) -> Select[Any]:
    """Select the numbers of the threads that fulfil one condition (`ThreadFilter.narrowing`), by its index."""
    if "few_key" in condition:
        found = select(_PAIRS.seq).where(_PAIRS.project_id == reach.project_id, _PAIRS.key == condition["few_key"])
        if "few_values" in condition:
            return found.where(among(_PAIRS.value, condition["few_values"]))
        # In the order of the index: otherwise PostgreSQL might scan the table, since it does not know the key.
        return found.order_by(_PAIRS.value)
    is_created = "few_created_least" in condition
    table: FromClause = tables.threads.alias("timed") if is_created else tables.thread_activity
    name = "created" if is_created else "active"
    time = table.c.created_at if is_created else table.c.activity_at
    between = time.between(condition[f"few_{name}_least"], condition[f"few_{name}_most"])
    return select(table.c.seq).where(table.c.project_id == reach.project_id, between)


def _is_by_few(values: Values) -> bool:
    return any(name.startswith("few_") for name in values)


def _is_by_pair(reach: Reach, values: Values) -> bool:
    """Say whether a list is read by the index of its pair; one owner's threads are fewer, and compared with it."""
    return "key" in values and reach.owner is None and not _is_by_few(values)


def _conditions(reach: Reach, values: Values, *others: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    """Compare a thread with a filter, except for the pair by which it was found.

    It is one comparison that PostgreSQL expects nearly all threads to pass. Of the single parts it would expect few to
    pass, and gather and sort those.
    """
    compared = [*others]
    if "owned_least" in values:
        is_owned = case(
            (_THREADS.owner.is_(None), literal_column("0", Integer())), else_=literal_column("1", Integer())
        )
        compared += [
            _THREADS.created_at.between(values["created_least"], values["created_most"]),
            tables.ACTIVITY_AT.between(values["active_least"], values["active_most"]),
            is_owned.between(values["owned_least"], values["owned_most"]),
        ]
    if "unread" in values:
        compared.append(_unread(values["reader"]) == values["unread"])
    if "key" in values and not _is_by_pair(reach, values):
        # Not EXISTS, for which PostgreSQL might read all threads of the pair, as it might for each thread by the value.
        own = (_PAIRS.project_id == reach.project_id, _PAIRS.seq == _THREADS.seq, _PAIRS.key == values["key"])
        has_pair: Select[Any] = select(literal_column("1")).where(*own, compared_alone(_PAIRS.value) == values["value"])
        compared.append(has_pair.correlate(tables.threads).scalar_subquery().is_not(None))
    if "matches" in values:
        compared.append(_matches(reach, values))
    if not compared:
        return []
    return [case((and_(*compared), literal_column("1")), else_=literal_column("0")) != literal_column("0")]


def _unread(reader: str) -> ColumnElement[int]:
    """Select 1 where a reader has not read a message, else 0."""
    is_unread = unread_after(mark_of(reader), reader).correlate(tables.threads).exists()
    return case((is_unread, literal_column("1", Integer())), else_=literal_column("0", Integer()))


def _matches(reach: Reach, values: Values) -> ColumnElement[bool]:
    """Compare the metadata of a thread with further conditions, none of which may fail."""
    condition = json_values(cast(values["matches"], Text)).table_valued("value", name="condition")
    key, wanted, is_missing = (json_text_at(condition.c.value, literal_column(str(n))) for n in range(3))
    value_fits = or_(wanted.is_(None), among(_PAIRS.value, wanted))
    found: Select[Any] = select(literal_column("1")).select_from(tables.thread_metadata)
    found = found.where(
        _PAIRS.project_id == reach.project_id, _PAIRS.seq == _THREADS.seq, _PAIRS.key == key, value_fits
    )
    found = found.correlate(tables.threads, condition)
    fails = case((found.exists(), literal_column("'1'")), else_=literal_column("'0'")) == is_missing
    return ~select(literal_column("1")).select_from(condition).where(fails).correlate(tables.threads).exists()


def _of_pair(reach: Reach, values: Values) -> tuple[ColumnElement[bool], ...]:
    return (_PAIRS.project_id == reach.project_id, _PAIRS.key == values["key"], _PAIRS.value == values["value"])
