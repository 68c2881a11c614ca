"""Filling a new thread with any number of messages, in transactions that are short: other writers do not wait for it.

It is visible whole or not at all. If the process dies, any server removes the unfinished thread.
Must not be here: which messages it is filled with (`forking`, `long_import`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.core import thread_removal
from gateway.core.clock import now_ms
from gateway.domain.idempotency import KeyTaken
from gateway.domain.principal import Reach
from gateway.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.thread import Thread
    from gateway.store.filling import Filling, FillWrites
    from gateway.store.writes import End

T = TypeVar("T")

_CHUNK_BYTES: Final = 128 * 1024  # of the messages of one statement, or one message
_HOLD_S: Final = 0.05  # after which a transaction begins no further statement; its commit may take twice as long
_ABANDONED_MS: Final = 600_000  # without a further message; each transaction waits for some seconds at most
_INTERVAL_S: Final = 600
_THREADS: Final = 100
_ANY: Final = 1 << 62  # after all times


async def fill(
    store: Store, reach: Reach, filling: Filling, batches: AsyncIterator[tuple[Sequence[Message], bool]]
) -> Thread:
    """Create a thread with messages, which come in batches, each with whether it is the last one; return it.

    It is created with the last message, if its source still exists. The generator of the batches sets `filling.latest`.
    Errors: NotFound for the source, or the thread; KeyTaken; Unavailable.
    """
    try:
        async for batch, is_last in batches:
            left, whole = batch, None
            while left or (is_last and whole is None):
                added, whole = await store.write(partial(_step, reach, filling, left, is_last=is_last))
                left = left[added:]
            if whole is not None:
                return whole
    except (KeyTaken, NotFound):  # nothing of the last transaction was committed
        await remove_unfinished(store, reach, filling.thread.id, filling.touched + 1)
        raise
    raise RuntimeError("no batch was the last one")


async def _step(
    reach: Reach, filling: Filling, left: Sequence[Message], transaction: FillWrites, *, is_last: bool
) -> tuple[int, Thread | None]:
    """Add messages for a limited time; return how many, and the thread if it is whole."""
    end, now, added = end_of_moment(), now_ms(), 0
    thread, source, own = filling.thread, filling.source, reach.and_unfinished()
    gone = NotFound("thread", thread.id if source is None else source.thread_id)
    if not filling.touched:
        await transaction.begin_filling(own, filling, now)
    for chunk in chunks(left, lambda each: each.stored):
        if not await transaction.add_filled(own, filling, chunk, now):
            raise gone
        added += len(chunk)
        if time.monotonic() > end:
            break
    if not is_last or added < len(left):
        return added, None
    whole = thread._replace(message_count=filling.count)
    if source is not None:
        whole = whole._replace(created_at=now // 1_000, activity_at=now)
        # An erasure takes the copies of a thread too: either this waits for the erasure, or the erasure finds the copy.
        if not await transaction.lock_ends(reach, [source.thread_id]):
            raise gone
    if not await transaction.end_filling(own, filling, whole):
        raise gone
    return added, whole


def end_of_moment() -> float:
    """Return when a transaction that begins now may begin no further statement, by the monotonic clock."""
    return time.monotonic() + _HOLD_S


def chunks(items: Sequence[T], size_of: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """Yield what one statement adds: some of the messages, or one that is large."""
    begin, size = 0, 0
    for n, each in enumerate(items):
        if size > _CHUNK_BYTES:
            yield items[begin:n]
            begin, size = n, 0
        size += size_of(each)
    if begin < len(items):
        yield items[begin:]


async def watch(store: Store) -> None:
    """Remove what was abandoned, for as long as a server runs; several servers may do so at once.

    Rows of long threads that this process has deleted are removed without delay.
    """
    while True:
        store.leftovers.clear()
        await remove_abandoned(store, now_ms() - _ABANDONED_MS)
        with suppress(TimeoutError):
            async with asyncio.timeout(_INTERVAL_S):
                await store.leftovers.wait()


async def remove_abandoned(store: Store, before_ms: int) -> int:
    """Remove threads that are not whole and got no message since a time, in milliseconds; return their number."""
    removed = 0
    while found := await _abandoned(store, before_ms):
        for project_id, thread_id in found:
            await remove_unfinished(store, Reach(project_id), thread_id, before_ms)
        removed += len(found)
    return removed


async def _abandoned(store: Store, before_ms: int) -> list[tuple[str, ThreadId]]:
    async with store.read() as reads:
        return await reads.list_abandoned(before_ms, _THREADS)


async def remove_unfinished(store: Store, reach: Reach, thread_id: ThreadId, before_ms: int = _ANY) -> None:
    """Remove a thread, if it is not whole and got no message since a time."""
    await thread_removal.remove(store, reach, thread_id, partial(_is_abandoned, before_ms))


async def _is_abandoned(before_ms: int, _transaction: FillWrites, end: End) -> bool:
    return end.filling is not None and end.filling < before_ms
