"""Whole threads in and out, for import and export.

Must not be here: files, lines, what is told of them (`transfer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.domain.page import Order, PageRequest
from gateway.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal
    from gateway.domain.thread import Thread
    from gateway.store.writes import Writes

    Refuse = Callable[[MessageId, InvalidRequest], None]

_THREADS: Final = PageRequest(limit=100, order=Order.ASC)
_MESSAGES: Final = PageRequest(limit=500, order=Order.ASC)


@dataclass(slots=True)
class Taken:
    """What an import has done: what was added, and what was there before, living or deleted."""

    threads: int = 0
    messages: int = 0
    known: int = 0


async def import_thread(
    store: Store, who: Principal, thread: Thread, batches: Iterable[Sequence[Message]], refuse: Refuse
) -> Taken:
    """Add a thread with its messages, in their order, all in one transaction.

    What is there already stays as it is, and what was deleted stays deleted, so a second time changes nothing.
    A message that cannot be taken is handed to `refuse`, and the rest goes on.
    """
    taken = Taken()
    async with store.write() as transaction:
        await transaction.lock_imports()
        # The lock first: it waits for a deletion that runs, and only then is it certain what was deleted.
        held = await transaction.lock_thread(who.reach, thread.id)
        if await transaction.is_deleted_thread(who.reach, thread.id):
            taken.known = 1 + sum(map(len, batches))
            return taken
        if held is None:
            await transaction.add_thread(who.reach, thread)
            taken.threads = 1
        else:
            taken.known = 1
        for batch in batches:
            known = await transaction.known_messages(who.reach, [message.id for message in batch])
            fresh = _fresh(thread.id, batch, known, refuse)
            taken.known += sum(holder == thread.id for holder in known.values())
            taken.messages += await _append(transaction, who, thread.id, fresh, refuse)
    return taken


def _fresh(thread_id: ThreadId, batch: Sequence[Message], known: Mapping[str, str], refuse: Refuse) -> list[Message]:
    """Leave out messages that are there already or come twice, and refuse those whose id another thread has."""
    fresh: dict[str, Message] = {}
    for message in batch:
        holder = known.get(message.id)
        if holder is None:
            fresh.setdefault(message.id, message)
        elif holder != thread_id:
            refuse(message.id, InvalidRequest(f"'{message.id}' is already a message of '{holder}'.", param="id"))
    return list(fresh.values())


async def _append(
    transaction: Writes, who: Principal, thread_id: ThreadId, fresh: Sequence[Message], refuse: Refuse
) -> int:
    """Add messages to the end of a thread, and refuse those that belong before its end: places never change."""
    newest = await transaction.newest_second(who.reach, thread_id)
    late = [message for message in fresh if message.created_at < newest]
    for message in late:
        reason = f"'{thread_id}' already holds newer messages, and a message is only ever added behind them."
        refuse(message.id, InvalidRequest(reason, param="created_at"))
    added = [message for message in fresh if message.created_at >= newest]
    if added:
        end = added[-1].created_at
        first_position, _ = await transaction.take_positions(who.reach, thread_id, len(added), end)
        await transaction.add_messages(who.reach, added, first_position)
    return len(added)


async def export_threads(store: Store, who: Principal) -> AsyncIterator[Thread]:
    """Read all threads, oldest first."""
    page = _THREADS
    while True:
        async with store.read() as reads:
            found = await reads.list_threads(who.reach, page)
        for thread in found.items:
            yield thread
        if not found.has_more:
            return
        page = PageRequest(limit=page.limit, order=page.order, after=found.items[-1].id)


async def export_messages(store: Store, who: Principal, thread_id: ThreadId) -> AsyncIterator[Message]:
    """Read all messages of a thread, oldest first."""
    page = _MESSAGES
    while True:
        async with store.read() as reads:
            found = await reads.list_messages(who.reach, thread_id, page, None)
        for message in found.items:
            yield message
        if not found.has_more:
            return
        page = PageRequest(limit=page.limit, order=page.order, after=found.items[-1].id)
