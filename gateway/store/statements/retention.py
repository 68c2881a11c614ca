"""Pure builders of statements that find threads without activity since a time.

Must not be here: how the time of an activity is kept (the database's triggers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, select

from gateway.store.schema import tables
from gateway.store.statements.access import within
from gateway.store.statements.functions import now_ms

if TYPE_CHECKING:
    from sqlalchemy import Select

    from gateway.domain.principal import Reach


def next_project(after: str) -> Select[Any]:
    """Select the first project after another, by name, that has threads, or null."""
    activity = tables.thread_activity.c
    return select(func.min(activity.project_id)).where(activity.project_id > after)


def overdue_threads(reach: Reach, before: int, most: int) -> Select[Any]:
    """Select the ids of threads whose last activity was before a time, the longest ago first.

    A thread that is being answered stays, unless its run has expired.
    """
    activity, threads, runs = tables.thread_activity.c, tables.threads.c, tables.runs.c
    is_answered = exists().where(
        runs.project_id == reach.project_id, runs.id == threads.active_run, runs.expires_at * 1000 > now_ms()
    )
    of_thread = and_(activity.project_id == threads.project_id, activity.seq == threads.seq)
    found = select(threads.id).select_from(tables.threads.join(tables.thread_activity, of_thread))
    is_overdue = and_(activity.project_id == reach.project_id, activity.activity_at < before)
    return (
        found.where(within(tables.threads, reach), is_overdue, ~is_answered).order_by(activity.activity_at).limit(most)
    )
