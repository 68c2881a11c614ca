"""Pure builders of statements on threads that are copies of others.

Must not be here: how the messages are copied (`filling`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, exists, func, select

from gateway.store.schema import tables
from gateway.store.statements.access import within, within_thread

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

    from gateway.domain.principal import Reach


def source_columns(reach: Reach) -> list[ColumnElement[Any]]:
    """Select of which thread that of the enclosing statement is a copy, if a caller can reach it, and up to where.

    Shape: the thread, or null, and the last message that was copied, or null.
    """
    copies, sources = tables.threads, tables.threads.alias("sources")
    is_there = exists().where(within(sources, reach), sources.c.id == copies.c.forked_thread_id).correlate(copies)
    return [case((is_there, copies.c.forked_thread_id)).label("source"), copies.c.forked_message_id]


def count_until(reach: Reach, thread_id: str, last: int, most: int) -> Select[Any]:
    """Count the messages of a thread up to a position, and no more than some."""
    messages = tables.messages
    found = select(messages.c.position).where(within_thread(messages, reach, thread_id), messages.c.position <= last)
    return select(func.count()).select_from(found.limit(most).subquery())
