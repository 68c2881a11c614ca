"""Pure builders of statements that copy the messages of a thread to another one.

Must not be here: copies of messages in progress, whose text is in deltas (`writes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, insert, literal_column, select

from gateway.domain.message import Status
from gateway.store.schema import tables
from gateway.store.statements.access import within, within_thread
from gateway.store.statements.functions import among, as_text, new_message_id
from gateway.store.statements.messages import MESSAGE_COLUMNS

if TYPE_CHECKING:
    from sqlalchemy import Insert, Select

    from gateway.domain.principal import Reach


def copy_messages(reach: Reach, thread_id: str, last: int, most: int, copy_id: str) -> Insert:
    """Insert copies of the messages of a thread up to a position into another one, at positions without gaps.

    A message in progress is copied without the text of its deltas.
    """
    messages, copies = tables.messages, tables.messages
    number = func.row_number().over(order_by=messages.c.position)
    own = {copies.c.project_id: messages.c.project_id, copies.c.position: number}
    own |= {copies.c[each.name]: messages.c[each.name] for each in MESSAGE_COLUMNS if each.name != "idempotency_key"}
    own |= {copies.c.id: new_message_id(), copies.c.thread_id: as_text(copy_id)}
    own[copies.c.change_number] = literal_column("0")  # followers of the list get the new thread
    copied = select(*own.values()).where(within_thread(messages, reach, thread_id), messages.c.position <= last)
    return insert(copies).from_select(list(own), copied.order_by(messages.c.position).limit(most))


def list_sources(reach: Reach, thread_ids: str) -> Select[Any]:
    """Select of which threads others, an array of JSON, are copies: those that a caller can reach.

    Shape: the copy, the thread, and the last message that was copied, or null.
    """
    copies, sources = tables.threads, tables.threads.alias("sources")
    there = exists().where(within(sources, reach), sources.c.id == copies.c.forked_thread_id)
    found = select(copies.c.id, copies.c.forked_thread_id, copies.c.forked_message_id)
    return found.where(within(copies, reach), among(copies.c.id, as_text(thread_ids)), there)


def list_in_progress(reach: Reach, thread_id: str, last: int) -> Select[Any]:
    """Select the ids of the messages in progress of a thread up to a position, in their order."""
    messages = tables.messages
    of_thread = within_thread(messages, reach, thread_id)
    is_growing = messages.c.status == Status.IN_PROGRESS.value
    found = select(messages.c.id).where(of_thread, is_growing, messages.c.position <= last)
    return found.order_by(messages.c.position)


def end_of_copy(reach: Reach, thread_id: str) -> Select[int, Any]:
    """Select the number of messages of a thread without gaps, and the latest second of one, or null."""
    messages = tables.messages
    return select(func.count(), func.max(messages.c.created_at)).where(within_thread(messages, reach, thread_id))
