"""Follow a thread: first what was missed, then what comes, each once and in order.

A follower holds no connection while it waits and no queue: it keeps the position that it has come to, is woken by a
hint, and reads on from there. It listens before it first reads, so nothing falls between the two.
Must not be here: how hints arrive (`events`), how a follower is answered (faces).
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.domain import ids
from gateway.domain.change import ThreadDeleted
from gateway.domain.parse_page import unknown_cursor
from gateway.domain.principal import Scope
from gateway.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from gateway.core import Store
    from gateway.domain.change import Change
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal
    from gateway.events.hub import Hub
    from gateway.store.reads import Batch, Reads

    Read = Callable[[Reads, Principal, ThreadId, int], Awaitable[Batch["T"]]]

T = TypeVar("T")

BATCH: Final = 50
_LONGEST_POSITION: Final = 18  # digits; a bigint has 19


async def start(store: Store, who: Principal, thread_id: ThreadId, after: str | None) -> int:
    """Find the position behind which a follower begins: that of a cursor, or the present end of the thread.

    A cursor is the id of a message, living or deleted, or the position that a change has told as its cursor.
    Errors: NotFound for the thread; InvalidRequest for a cursor that names nothing in it.
    """
    who.require(Scope.READ)
    async with store.read() as reads:
        span = await reads.span_of(who.reach, thread_id)
        if span is None:
            raise NotFound("thread", thread_id)
        begin, last = span
        position = last if after is None else await _position_of(reads, who, thread_id, after)
    if position == 0:
        return begin
    # One further on was told by another thread, or before the database was put back: waiting for it would be silence.
    # One before its beginning is of the thread that was deleted before this one was imported under its id.
    if position is None or not begin <= position <= last:
        raise unknown_cursor("after", str(after))
    return position


async def _position_of(reads: Reads, who: Principal, thread_id: ThreadId, after: str) -> int | None:
    if after.isascii() and after.isdigit() and len(after) <= _LONGEST_POSITION:
        return int(after) if after == str(int(after)) else None  # one position has one cursor
    message_id = ids.as_message_id(after)
    return None if message_id is None else await reads.position_of(who.reach, thread_id, message_id)


def messages(
    store: Store, hub: Hub, who: Principal, thread_id: ThreadId, position: int
) -> AsyncGenerator[tuple[int, Message], None]:
    """Give the messages of a thread behind a position as they are added; it ends when the thread is deleted."""
    return _read_on(store, hub, who, thread_id, position=position, read=_messages_behind)


async def _messages_behind(reads: Reads, who: Principal, thread_id: ThreadId, position: int) -> Batch[Message]:
    return await reads.list_messages_after(who.reach, thread_id, position, BATCH)


async def changes(
    store: Store, hub: Hub, who: Principal, thread_id: ThreadId, position: int
) -> AsyncGenerator[tuple[int, Change], None]:
    """Give what happens in a thread behind a position; it ends with the deletion of the thread."""
    async with aclosing(_read_on(store, hub, who, thread_id, position=position, read=_changes_behind)) as found:
        async for each in found:
            position = each[0]
            yield each
    yield position, ThreadDeleted(position, thread_id)


async def _changes_behind(reads: Reads, who: Principal, thread_id: ThreadId, position: int) -> Batch[Change]:
    return await reads.list_changes(who.reach, thread_id, position, BATCH)


async def _read_on(
    store: Store,
    hub: Hub,
    who: Principal,
    thread_id: ThreadId,
    *,
    position: int,
    read: Read[T],
) -> AsyncGenerator[tuple[int, T], None]:
    """Read a thread from a position on, whenever a hint comes, until the thread is gone.

    Nothing that was read is held while it waits: a thousand that wait would hold a thousand batches.
    """
    with hub.listen((who.reach.project_id, thread_id)) as hint:
        while True:
            hint.clear()
            untold, come_to, has_more = await _look(store, who, thread_id, position, read)
            while untold:
                yield untold.pop()
            if come_to is None:
                return
            position = come_to
            if not has_more:
                await hint.wait()


async def _look(
    store: Store, who: Principal, thread_id: ThreadId, position: int, read: Read[T]
) -> tuple[list[tuple[int, T]], int | None, bool]:
    async with store.read() as reads:
        found = await read(reads, who, thread_id, position)
        span = None if found.items else await reads.span_of(who.reach, thread_id)
        is_there = bool(found.items) or (span is not None and span[0] <= position)
    return [*reversed(found.items)], found.position if is_there else None, found.has_more
