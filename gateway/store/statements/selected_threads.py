"""Pure builders of statements that list threads by activity or filtered.

A filter is values (`domain.thread_list.ThreadFilter.values`), so there are few statements: the conditions on metadata
are one text of JSON, and only a pair by whose index a list is read has parameters of its own.
Must not be here: the list by creation of all threads (`threads`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Integer, Text, case, cast, func, literal_column, or_, select, union_all

from gateway.store.schema import tables
from gateway.store.statements.access import within
from gateway.store.statements.functions import among, json_text_at, json_values, looked_up
from gateway.store.statements.paging import cursor_bounds, is_ascending, limited, ordered, past_cursor
from gateway.store.statements.threads import columns_for, place_of_thread

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

    from gateway.domain.page import PageRequest
    from gateway.domain.principal import Reach

Values = dict[str, Any]

_THREADS: Final = tables.threads.c
_ORDER: Final = tables.thread_activity.c
_PAIRS: Final = tables.thread_metadata.c
_MARKS: Final = tables.read_marks.c
_MESSAGES: Final = tables.messages.c
_BY_ACTIVITY: Final = (_ORDER.activity_at, _ORDER.seq)
_LEAST: Final = "active_least"  # among the values of every filter
_FEW: Final = 300  # threads of a pair that are sorted; more are looked for in the order of all threads


def list_created(reach: Reach, page: PageRequest, values: Values, *, inclusive: bool = False) -> Select[Any]:
    """Select one page of the threads that a filter matches, by creation, and one row more.

    Shape: as of `threads.list_threads`; with `inclusive`, also the thread at a cursor. Of a pair, it is read from its
    index, which is in this order.
    """
    key = (_THREADS.created_at, _THREADS.seq)
    listed = select(*columns_for(reach)).where(*_conditions(reach, values))
    if "key" in values:
        key = (_PAIRS.created_at, _PAIRS.seq)
        listed = listed.join(tables.thread_metadata, _PAIRS.seq == _THREADS.seq)
        listed = listed.where(*_of_pair(reach, values), *_within_found(reach))
    else:
        listed = listed.where(within(tables.threads, reach))
    places = [(place_of_thread(reach, cursor), up) for cursor, up in cursor_bounds(page)]
    return limited(_bounded(listed, key, places, inclusive=inclusive), key, page)


def list_active(reach: Reach, page: PageRequest, values: Values, *, inclusive: bool = False) -> Select[Any]:
    """Select one page of threads by activity, and one row more; the times of cursors are values too.

    Shape: as of `list_created`. The few threads of a pair are sorted; if they are many, they are met soon in the order
    of all threads.
    """
    places = _places(reach, page, values)
    listed = _bounded(_active(reach, values), _BY_ACTIVITY, places, inclusive=inclusive)
    if "key" not in values:
        return limited(listed.with_only_columns(*columns_for(reach)), _BY_ACTIVITY, page)
    up, own = is_ascending(page), (tables.ACTIVITY_AT, _THREADS.seq)
    few = select(_PAIRS.seq).where(*_of_pair(reach, values)).limit(_FEW + 1).cte("few")
    are_few = select(func.count() <= _FEW).select_from(few).scalar_subquery()
    # A condition that names no column would be compared for each thread by SQLite; this one ends the scan by its index.
    project = case((func.count() > _FEW, cast(reach.project_id, Text)))
    if_many = select(project).select_from(few).scalar_subquery()
    gathered = select(*columns_for(reach), _THREADS.seq).where(_THREADS.seq.in_(select(few.c.seq)))
    gathered = gathered.where(*_within_found(reach), *_conditions(reach, values), are_few)
    gathered = _bounded(gathered, own, places, inclusive=inclusive)
    # Not EXISTS, which PostgreSQL would join: for that it might read all threads of the pair.
    has_pair: Select[Any] = select(literal_column("1")).where(*_of_pair(reach, values), _PAIRS.seq == _ORDER.seq)
    walked = listed.where(_ORDER.project_id == if_many, has_pair.scalar_subquery().is_not(None))
    parts = [(gathered, own), (walked, _BY_ACTIVITY)]
    pages = [ordered(each, key, up=up).limit(page.limit + 1).subquery() for each, key in parts]
    found = union_all(*(select(each) for each in pages)).subquery("found")
    *shown, seq = found.c
    return ordered(select(*shown), (found.c.activity_at, seq), up=up)


def _active(reach: Reach, values: Values) -> Select[Any]:
    """Select threads in the order of activity that a filter matches, but for its pair."""
    is_own = [] if "key" in values else [_ORDER.project_id == reach.project_id]
    conditions = [*is_own, *_within_found(reach), *_conditions(reach, values)]
    if reach.owner is not None:
        conditions.append(_ORDER.owner == reach.owner)
    if _LEAST in values:
        conditions.append(_ORDER.activity_at.between(values[_LEAST], values["active_most"]))
    found = select(*columns_for(reach), _ORDER.seq).join(tables.threads, _THREADS.seq == _ORDER.seq)
    return found.where(*conditions)


def count_filtered(reach: Reach, values: Values) -> Select[Any]:
    """Count the threads that a filter matches."""
    counted = select(func.count()).select_from(tables.threads)
    if "key" in values:
        counted = counted.join(tables.thread_metadata, _PAIRS.seq == _THREADS.seq).where(*_of_pair(reach, values))
    return counted.where(within(tables.threads, reach), *_conditions(reach, values))


def _places(reach: Reach, page: PageRequest, values: Values) -> list[tuple[Any, bool]]:
    """Select the places of cursors, and for each whether the rows of the page have higher keys; an unknown has none."""
    times, found = {page.after: "after_at", page.before: "before_at"}, []
    for cursor, up in cursor_bounds(page):
        at = cast(values[times[cursor]], BigInteger)
        alive, gone = tables.threads.alias("cursor"), tables.deleted_threads
        place = union_all(
            *(select(at, each.c.seq).where(within(each, reach), each.c.id == cursor) for each in (alive, gone))
        )
        found.append((place.scalar_subquery(), up))
    return found


def _bounded(
    listed: Select[Any], key: tuple[Any, ...], places: list[tuple[Any, bool]], *, inclusive: bool
) -> Select[Any]:
    return listed.where(*(past_cursor(key, place, up=up, inclusive=inclusive) for place, up in places))


def _conditions(reach: Reach, values: Values) -> list[ColumnElement[bool]]:
    """Compare a thread with a filter, but for its pair."""
    if _LEAST not in values:
        return []
    is_owned = case((_THREADS.owner.is_(None), literal_column("0", Integer())), else_=literal_column("1", Integer()))
    compared: list[ColumnElement[bool]] = [
        _THREADS.created_at.between(values["created_least"], values["created_most"]),
        tables.ACTIVITY_AT.between(values[_LEAST], values["active_most"]),
        is_owned.between(values["owned_least"], values["owned_most"]),
    ]
    if "unread" in values:
        compared.append(_unread(values["reader"]) == values["unread"])
    return [*compared, _matches(reach, values)] if "matches" in values else compared


def _unread(reader: str) -> ColumnElement[int]:
    """Select 1 where a message of an assistant is after the mark of a reader, else 0."""
    mark: Select[Any] = select(_MARKS.position).where(
        _MARKS.project_id == _THREADS.project_id, _MARKS.thread_id == _THREADS.id, _MARKS.reader == reader
    )
    read = func.coalesce(mark.correlate(tables.threads).scalar_subquery(), literal_column("0"))
    later: Select[Any] = select(literal_column("1")).where(
        _MESSAGES.project_id == _THREADS.project_id,
        _MESSAGES.thread_id == _THREADS.id,
        _MESSAGES.position > read,
        _MESSAGES.role == literal_column("'assistant'"),
    )
    is_unread = later.correlate(tables.threads).exists()
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


def _within_found(reach: Reach) -> list[ColumnElement[bool]]:
    """Narrow threads that are found by their numbers to those that a caller can reach (`access.within`)."""
    bounds = [looked_up(_THREADS.project_id) == reach.project_id]
    if reach.thread_id is not None:
        bounds.append(looked_up(_THREADS.id) == reach.thread_id)
    if reach.owner is not None:
        bounds.append(looked_up(_THREADS.owner) == reach.owner)
    return bounds


def _of_pair(reach: Reach, values: Values) -> tuple[ColumnElement[bool], ...]:
    return (_PAIRS.project_id == reach.project_id, _PAIRS.key == values["key"], _PAIRS.value == values["value"])
