"""The rows that a caller can reach: every statement on existing rows begins here.

`within` (or `within_thread`) is the only way to start one.
Must not be here: what is selected of the rows (`threads`, `messages`, `following`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, select, true

from gateway.store.schema import tables
from gateway.store.statements.functions import looked_up

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause

    from gateway.domain.principal import Reach


def within(table: FromClause, reach: Reach) -> ColumnElement[bool]:
    """Narrow a table to the rows that a caller can reach."""
    bounds = [table.c.project_id == reach.project_id]
    if reach.thread_id is not None:
        thread_id = table.c.thread_id if "thread_id" in table.c else table.c.id
        bounds.append(thread_id == reach.thread_id)
    if reach.owner is not None:
        bounds.append(table.c.owner == reach.owner if "owner" in table.c else _is_owned(table, reach))
    if "filling" in table.c and not reach.with_unfinished:
        bounds.append(table.c.filling.is_(None))
    return and_(*bounds)


def within_thread(table: FromClause, reach: Reach, thread_id: str) -> ColumnElement[bool]:
    """Narrow a table to the rows of one thread, if the caller can reach it.

    The owner is looked up once and before the rows: with a join, a planner could read them in another order.
    """
    if reach.owner is None:
        return and_(within(table, reach), table.c.thread_id == thread_id)
    own = (
        select(tables.threads.c.id)
        .where(within(tables.threads, reach), tables.threads.c.id == thread_id)
        .scalar_subquery()
    )
    return and_(table.c.project_id == reach.project_id, table.c.thread_id == own)


def is_shown(reach: Reach, thread_id: Any) -> ColumnElement[bool]:
    """Omit messages of threads that are not whole: every read of messages by a caller's ids needs this.

    There is hardly ever such a thread, so the index of these is read, not that of ids.
    """
    if reach.with_unfinished or reach.owner is not None:  # then the owner of the thread is looked up anyway
        return true()
    filled = tables.threads.alias("filled")
    own = (looked_up(filled.c.project_id) == reach.project_id, looked_up(filled.c.id) == thread_id)
    # PostgreSQL would turn EXISTS into a join; for a given thread this is evaluated once.
    return select(filled.c.filling).where(filled.c.filling.is_not(None), *own).scalar_subquery().is_(None)


def _is_owned(table: FromClause, reach: Reach) -> ColumnElement[bool]:
    """Compare the owner of a row's thread, which a lookup by key finds: it is stored only there."""
    owned = tables.threads.alias("owned")
    is_whole = true() if reach.with_unfinished else owned.c.filling.is_(None)
    of_row = (owned.c.project_id == table.c.project_id, owned.c.id == table.c.thread_id)
    return exists().where(*of_row, owned.c.owner == reach.owner, is_whole)
