"""Filling a new thread with any number of messages, in transactions that are short: other writers do not wait for it.

It is visible whole or not at all. What a process that dies leaves of it is removed by any server.
Must not be here: which messages it is filled with (`forking`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.core import thread_removal
from gateway.core.clock import now_ms
from gateway.domain.idempotency import KeyTaken
from gateway.domain.principal import Reach
from gateway.errors import NotFound
from gateway.store.filling import FillWrites

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from gateway.core import Store
    from gateway.domain.idempotency import IdempotencyKey
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.thread import ForkSource, Thread

_CHUNK_BYTES: Final = 128 * 1024  # of the messages of one statement, or one message
_HOLD_S: Final = 0.05  # after which a transaction begins no further statement; its commit may take twice as long
_ABANDONED_MS: Final = 600_000  # without a further message; each transaction waits for some seconds at most
_INTERVAL_S: Final = 600
_THREADS: Final = 100


@dataclass(slots=True)
class Filling:
    """A thread as it will be, the one that it is a copy of, and what was added to it so far."""

    thread: Thread
    source: ForkSource
    key: IdempotencyKey | None
    count: int = 0
    latest: int = 0


async def fill(
    store: Store, reach: Reach, filling: Filling, batches: AsyncIterator[tuple[Sequence[Message], bool]]
) -> Thread:
    """Create a thread with messages, which come in batches, each with whether it is the last one; return it.

    It is created when the last message is there, if its source is too.
    Errors: NotFound for the source; KeyTaken; Unavailable.
    """
    try:
        async for batch, is_last in batches:
            left, whole = batch, None
            while left or (is_last and whole is None):
                added, whole = await store.write(partial(_step, reach, filling, left, is_last=is_last))
                filling.count += added
                filling.latest = max((filling.latest, *(each.created_at for each in left[:added])))
                left = left[added:]
            if whole is not None:
                return whole
    except (KeyTaken, NotFound):  # nothing of the last transaction was committed
        await _remove_unfinished(store, reach, filling.thread.id, now_ms() + 1)
        raise
    raise RuntimeError("no batch was the last one")


async def _step(
    reach: Reach, filling: Filling, left: Sequence[Message], transaction: FillWrites, *, is_last: bool
) -> tuple[int, Thread | None]:
    """Add messages for a moment; return how many, and the thread if it is whole."""
    end, now, added = time.monotonic() + _HOLD_S, now_ms(), 0
    thread, gone = filling.thread, NotFound("thread", filling.source.thread_id)
    if filling.count == 0:  # each step adds a message, or is the last one
        await transaction.begin_filling(reach, thread, filling.source, now)
    for chunk in _chunks(left):
        if not await transaction.add_filled(reach, thread.id, filling.count + added, chunk, now):
            raise gone
        added += len(chunk)
        if time.monotonic() > end:
            break
    if not is_last or added < len(left):
        return added, None
    latest = max((filling.latest, *(each.created_at for each in left)))
    whole = thread._replace(created_at=now // 1_000, activity_at=now, message_count=filling.count + added)
    # One that is erased takes its copies with it: either this waits for that, or it finds the copy.
    has_source = await transaction.lock_ends(reach, [filling.source.thread_id])
    if not has_source or not await transaction.end_filling(reach, whole, latest, filling.key):
        raise gone
    return added, whole


def _chunks(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    begin, size = 0, 0
    for n, message in enumerate(messages):
        if size > _CHUNK_BYTES:
            yield messages[begin:n]
            begin, size = n, 0
        size += len(message.content_json) + len(message.metadata_json)
    if begin < len(messages):
        yield messages[begin:]


async def watch(store: Store) -> None:
    """Remove what was abandoned, for as long as a server runs; several servers may do so at once."""
    while True:
        await remove_abandoned(store, now_ms() - _ABANDONED_MS)
        await asyncio.sleep(_INTERVAL_S)


async def remove_abandoned(store: Store, before_ms: int) -> int:
    """Remove threads that are not whole and got no message since a time, in milliseconds; return their number."""
    removed = 0
    while found := await _abandoned(store, before_ms):
        for project_id, thread_id in found:
            await _remove_unfinished(store, Reach(project_id), thread_id, before_ms)
        removed += len(found)
    return removed


async def _abandoned(store: Store, before_ms: int) -> list[tuple[str, ThreadId]]:
    async with store.read() as reads:
        return await reads.list_abandoned(before_ms, _THREADS)


async def _remove_unfinished(store: Store, reach: Reach, thread_id: ThreadId, before_ms: int) -> None:
    is_abandoned = partial(FillWrites.is_abandoned, reach=reach, thread_id=thread_id, before=before_ms)
    await thread_removal.remove(store, reach, thread_id, is_abandoned)
