"""The rows that a caller can reach: every statement on existing rows begins here.

`within` (or `within_thread`) is the only way to start one.
Must not be here: what is selected of the rows (`threads`, `messages`, `following`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, select

from gateway.store.schema import tables

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


def is_whole(threads: FromClause) -> ColumnElement[bool]:
    """Omit threads that are being filled: every list of threads does, while their ids are known to nobody yet."""
    return threads.c.filling.is_(None)


def _is_owned(table: FromClause, reach: Reach) -> ColumnElement[bool]:
    """Compare the owner of a row's thread; it is stored once, and a lookup by key finds it."""
    owned = tables.threads.alias("owned")
    return exists().where(
        owned.c.project_id == table.c.project_id, owned.c.id == table.c.thread_id, owned.c.owner == reach.owner
    )
