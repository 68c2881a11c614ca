"""Whole threads in and out, for import and export.

Must not be here: files, lines, what is told of them (`transfer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.domain.page import Order, PageRequest
from gateway.errors import InvalidRequest
from gateway.store.writes import End

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal
    from gateway.domain.thread import Thread
    from gateway.store.staging import Staging

    Refuse = Callable[[int, InvalidRequest], None]

_THREADS: Final = PageRequest(limit=100, order=Order.ASC)
_MESSAGES: Final = PageRequest(limit=500, order=Order.ASC)


@dataclass(slots=True)
class Taken:
    """What an import has done: what was added, and what was there before, living or deleted."""

    threads: int = 0
    messages: int = 0
    known: int = 0


async def import_threads(
    store: Store,
    who: Principal,
    given: Sequence[Thread],
    batches: Iterable[Sequence[Message]],
    refuse: Refuse,
    *,
    staging: Staging | None = None,
) -> Taken:
    """Add threads with their messages, which come in the order of each thread, all in one transaction.

    What is there already stays as it is, and what was deleted stays deleted, so a second time changes nothing.
    A message that cannot be taken is told to `refuse` by its number in the batch at hand, and the rest goes on.
    Where all threads are new, the database may take the same messages from where they are staged.
    """
    thread_ids = [thread.id for thread in given]
    async with store.write() as transaction:
        await transaction.lock_imports()
        # The lock first: it waits for a deletion that runs, and only then is it certain what was deleted.
        ends = await transaction.lock_ends(who.reach, thread_ids)
        deleted = await transaction.deleted_threads(who.reach, thread_ids)
        fresh = [thread for thread in given if thread.id not in ends and thread.id not in deleted]
        await transaction.add_threads(who.reach, fresh)
        ends |= {thread.id: End(0, 0) for thread in fresh}
        taken = Taken(threads=len(fresh), known=len(given) - len(fresh))
        if staging and len(fresh) == len(given):
            moved = await transaction.move_staged(who.reach, staging, thread_ids)
            if moved is not None:
                taken.messages = moved
                return taken
        for batch in batches:
            known = await transaction.known_messages(who.reach, [message.id for message in batch])
            placed = _placed(batch, known, ends, refuse, taken)
            reached = {message.thread_id: ends[message.thread_id] for _, message in placed}
            await transaction.append_messages(who.reach, placed, reached)
            taken.messages += len(placed)
    return taken


def _placed(
    batch: Sequence[Message], known: dict[str, str], ends: dict[ThreadId, End], refuse: Refuse, taken: Taken
) -> list[tuple[int, Message]]:
    """Give messages their places, and move the ends of their threads; places never change.

    Those that are there already are left out, and refused are those whose id another thread has, and those that belong
    before the end of theirs.
    """
    placed: list[tuple[int, Message]] = []
    for number, message in enumerate(batch):
        message_id, thread_id, created_at, *_ = message
        end, holder = ends.get(thread_id), known.get(message_id)
        if end is None or holder == thread_id:
            taken.known += 1
        elif holder is not None:
            refuse(number, InvalidRequest(f"'{message_id}' is already a message of '{holder}'.", param="id"))
        elif created_at < end.second:
            reason = f"'{thread_id}' already holds newer messages, and a message is only ever added behind them."
            refuse(number, InvalidRequest(reason, param="created_at"))
        else:
            known[message_id] = thread_id
            ends[thread_id] = End(end.position + 1, created_at)
            placed.append((end.position + 1, message))
    return placed


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
