"""Pure builders of statements that follow the list of threads from a snapshot on.

Must not be here: pages of the list (`selected_threads`), following one thread (`following`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Integer, Text, and_, case, func, literal_column, or_, select, true, union_all

from gateway.domain.principal import Reach
from gateway.store.schema import tables
from gateway.store.statements import threads
from gateway.store.statements.access import within
from gateway.store.statements.functions import (
    among_numbers,
    as_text,
    json_values,
    next_change,
    snapshot,
    value_as_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, CompoundSelect, Select, Table

    IsNew = Callable[[Any], ColumnElement[bool]]

MOVED, CREATED, OWN, DELETED, READ, ERASED = 1, 2, 4, 8, 16, 32  # flags
SNAPSHOT: Final = -1  # the source of the row with the snapshot

_MESSAGE, _THREAD = tables.messages.c, tables.threads.c
_SOURCES: Final[tuple[tuple[Table, Any, Callable[[IsNew], Any]], ...]] = (
    (
        tables.messages,
        _MESSAGE.thread_id,
        lambda is_new: case((or_(_MESSAGE.changed_position.is_(None), is_new(_MESSAGE.finish_number)), MOVED), else_=0),
    ),
    (tables.deleted_messages, tables.deleted_messages.c.thread_id, lambda _: literal_column("0", Integer())),
    (
        tables.threads,
        _THREAD.id,
        lambda is_new: case(
            (_THREAD.change_number == _THREAD.create_number, CREATED),
            (is_new(_THREAD.create_number), OWN + CREATED),
            else_=OWN,
        ),
    ),
    (tables.deleted_threads, tables.deleted_threads.c.id, lambda _: literal_column(str(DELETED), Integer())),
    (
        tables.erased_owners,
        literal_column("''", Text()).label("thread"),
        lambda _: literal_column(str(ERASED), Integer()),
    ),
)
_MARKS: Final[tuple[Table, Any, Callable[[IsNew], Any]]] = (
    tables.read_marks,
    tables.read_marks.c.thread_id,
    lambda _: literal_column(str(READ), Integer()),
)


def changed_threads(
    reach: Reach,
    following: int,
    running: str | None,
    own: Mapping[str, str],
    limit: int,
    *,
    has_ties: bool,
) -> CompoundSelect[Any]:
    """Select the changes that a snapshot does not see, and what this statement sees.

    Shape: rows of source, thread, number and flags, in no order; one has SNAPSHOT as its source, and that of the
    statement in the thread's place. Of each source come at most `limit` rows from the number `following` on, with
    `has_ties` all of the last number; and all of the numbers that were `running`, an array of JSON. Read marks are only
    those of one `reader`, which is in `own`, like `erased`, the digest of the caller's owner, if there are such. Each
    select is answered by its index, however old the snapshot is. Existing threads are narrowed to the caller's when
    they are looked up (`changes_with_threads`): here the owner of each skipped row would have to be looked up.
    """
    is_new = _is_new(following, running)
    found: list[Select[Any]] = [
        select(
            literal_column(str(SNAPSHOT), Integer()).label("source"),
            snapshot().label("thread"),
            literal_column("0", BigInteger()).label("number"),
            literal_column("0", Integer()).label("flags"),
        )
    ]
    sources = (*_SOURCES, _MARKS) if "reader" in own else _SOURCES
    for source, (table, thread, flags) in enumerate(sources):
        columns = literal_column(str(source), Integer()).label("source"), thread, table.c.change_number
        rows = select(*columns, flags(is_new).label("flags")).where(within(table, Reach(reach.project_id)))
        rows = rows.where(*_narrowed(table, reach, own))
        later = rows.where(*_later(table, following)).order_by(table.c.change_number)
        limited = later.fetch(limit, with_ties=True) if has_ties else later.limit(limit)
        found.append(select(limited.subquery()))
        if running is not None:
            found.append(rows.where(*_among_running(table, running)))
    return union_all(*found)


def changes_with_threads(
    reach: Reach,
    following: int,
    running: str | None,
    own: Mapping[str, str],
    limit: int,
    *,
    is_sqlite: bool,
) -> Select[Any]:
    """Select the same, and beside the first change of each thread the thread, where the caller can reach it.

    Shape: the columns of `changed_threads`, and THREAD_COLUMNS, null where there is no thread.
    On PostgreSQL a thread is looked up for each row: it may expect so many rows that it would read all threads.
    """
    found = changed_threads(reach, following, running, own, limit, has_ties=not is_sqlite).subquery("found")
    nth = func.row_number().over(partition_by=found.c.thread, order_by=found.c.number)
    change = select(*found.c, nth.label("nth")).subquery("change")
    *columns, nth_change = change.c
    is_first = nth_change == literal_column("1")
    reached = and_(within(tables.threads, reach), tables.threads.c.id == change.c.thread, is_first)
    if is_sqlite:
        return select(*columns, *threads.columns_for(reach)).select_from(change.outerjoin(tables.threads, reached))
    thread = select(*threads.columns_for(reach)).where(reached).limit(1).lateral("thread")
    return select(*columns, *thread.c).select_from(change.outerjoin(thread, true()))


def _narrowed(table: Table, reach: Reach, own: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """Narrow a source to the rows of the caller, if it has the columns for that."""
    gone = tables.deleted_threads.c
    if table is tables.read_marks:
        return [tables.read_marks.c.reader == own["reader"]]
    if table is tables.deleted_threads and reach.thread_id is not None:
        return [gone.id == reach.thread_id]
    if "erased" not in own:
        return []
    if table is tables.deleted_threads:
        return [or_(gone.owner == reach.owner, gone.erased_owner == own["erased"])]
    return [tables.erased_owners.c.owner == own["erased"]] if table is tables.erased_owners else []


def erased_number(reach: Reach, erased: str) -> Select[Any]:
    """Select the number of the erasure of an owner, given by its digest."""
    gone = tables.erased_owners
    return select(gone.c.change_number).where(gone.c.project_id == reach.project_id, gone.c.owner == erased)


def changed_projects(projects: str, following: int, running: str | None) -> Select[Any]:
    """Select the current snapshot, and what another one does not see of many projects, an array of JSON.

    Shape: rows of a snapshot, a project, and the number of any change that is new there, or null.
    """
    project = value_as_text(json_values(as_text(projects)).table_valued("value", name="project").c.value)
    found = []
    for table, *_ in (*_SOURCES, _MARKS):
        number = select(table.c.change_number).where(table.c.project_id == project)
        found.append(number.where(*_later(table, following)).order_by(table.c.change_number).limit(1))
        if running is not None:
            found.append(number.where(*_among_running(table, running)).limit(1))
    any_number = func.coalesce(*(each.scalar_subquery() for each in found))
    return select(snapshot().label("snapshot"), project.label("project_id"), any_number.label("number"))


def current_snapshot() -> Select[Any]:
    """Select the snapshot of this statement."""
    return select(snapshot().label("snapshot"))


def _is_new(following: int, running: str | None) -> IsNew:
    def is_new(number: Any) -> ColumnElement[bool]:
        return or_(number >= following, *([] if running is None else [among_numbers(number, as_text(running))]))

    return is_new


def _later(table: Table, following: int) -> tuple[ColumnElement[bool], ...]:
    number = table.c.change_number
    return number > literal_column("0"), number >= following, number < next_change()


def _among_running(table: Table, running: str) -> tuple[Any, ...]:
    number = table.c.change_number
    return number > literal_column("0"), among_numbers(number, as_text(running))
