"""Pure builders of statements on threads that are copies of others.

Must not be here: how the messages are copied (`filling`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, select

from gateway.store.schema import tables
from gateway.store.statements.access import within, within_thread
from gateway.store.statements.functions import among, as_text

if TYPE_CHECKING:
    from sqlalchemy import Select

    from gateway.domain.principal import Reach


def list_sources(reach: Reach, thread_ids: str) -> Select[Any]:
    """Select of which threads others, an array of JSON, are copies: those that a caller can reach.

    Shape: the copy, the thread, and the last message that was copied, or null.
    """
    copies, sources = tables.threads, tables.threads.alias("sources")
    there = exists().where(within(sources, reach), sources.c.id == copies.c.forked_thread_id)
    found = select(copies.c.id, copies.c.forked_thread_id, copies.c.forked_message_id)
    return found.where(within(copies, reach), among(copies.c.id, as_text(thread_ids)), there)


def count_until(reach: Reach, thread_id: str, last: int, most: int) -> Select[Any]:
    """Count the messages of a thread up to a position, and no more than some."""
    messages = tables.messages
    found = select(messages.c.position).where(within_thread(messages, reach, thread_id), messages.c.position <= last)
    return select(func.count()).select_from(found.limit(most).subquery())
