"""Pure builders of statements that fill a new thread in several transactions.

Must not be here: how much one transaction adds (`core.filling`); the rows of messages, which are copied
(`engines.base.TransactionDriver.insert_rows`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from gateway.store.schema import tables
from gateway.store.statements.access import within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.sql.dml import ReturningUpdate

    from gateway.domain.principal import Reach

_THREADS = tables.threads.c


def add_filled(reach: Reach, thread_id: str, was: Mapping[str, int], count: int, now: int) -> ReturningUpdate[Any]:
    """Count messages that are added to a thread, if it is as the last transaction left it (`_is_filled`).

    Shape: one row, or none where the thread was removed, or is about to be, or was begun again.
    """
    own = update(tables.threads).where(*_is_filled(reach, thread_id, was))
    return own.values(message_count=_THREADS.message_count + count, filling=now).returning(_THREADS.id)


def end_filling(
    reach: Reach, thread_id: str, was: Mapping[str, int], values: Mapping[str, Any]
) -> ReturningUpdate[Any]:
    """Show a thread, and set what only a whole one has; shape as of `add_filled`."""
    own = update(tables.threads).where(*_is_filled(reach, thread_id, was))
    return own.values({**values, "filling": None}).returning(_THREADS.id)


def list_abandoned(before: int, most: int) -> Select[Any]:
    """Select the projects and ids of threads, of any project, that are not whole and got nothing since a time."""
    return select(_THREADS.project_id, _THREADS.id).where(_THREADS.filling < before).limit(most)


def _is_filled(reach: Reach, thread_id: str, was: Mapping[str, int]) -> tuple[ColumnElement[bool], ...]:
    """Compare the number of messages, and when the last of them were added, with what they were."""
    own = (within(tables.threads, reach), _THREADS.id == thread_id)
    return (*own, *(_THREADS[name] == value for name, value in was.items()))
