"""Following a thread: first the missed events, then new ones, each once and in order.

A waiting follower holds no connection and no queue: it keeps its position, is woken by a hint, and reads from there. It
listens before its first read, so no event is lost between the two. Followers with the same reach and position share a
read and its results, unless a hint has arrived since the read began.
Must not be here: how hints arrive (`events`), how events are sent (faces).
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from gateway.concurrency import SharedCalls
from gateway.core import epochs
from gateway.domain import ids
from gateway.domain.change import ThreadDeleted
from gateway.domain.parse_page import unknown_place
from gateway.domain.principal import Scope
from gateway.errors import NotFound, Unavailable
from gateway.store.reads import Reads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from gateway.core import Store
    from gateway.domain.change import Change
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal, Reach
    from gateway.events.hub import Hub
    from gateway.store.message_reads import Batch

    Read = Callable[[Reads, Reach, ThreadId, int, int], Awaitable[Batch["T"]]]

T = TypeVar("T")

BATCH: Final = 50
_BEGINNING: Final = "0"
KEPT_ANSWERS: Final = 16  # to one event: one for each combination of operation, variables and scopes
_MAX_POSITION_DIGITS: Final = 18  # digits; a bigint has 19


class Place(NamedTuple):
    """Where a follower is: at a position of one generation of its thread, in one epoch of the database.

    `mark` is the end of its cursors, after their position; it is one text for all followers of a thread.
    """

    position: int
    mark: str


class Emitted(NamedTuple, Generic[T]):
    """A message or a change, with its cursor; followers that have read it together get the same object.

    `answers` caches what a face makes of it, which may depend only on a follower's reach and on the key of the entry.
    """

    cursor: str
    item: T
    answers: SharedCalls[Any]


class _Found(NamedTuple, Generic[T]):
    items: list[Emitted[T]]
    position: int | None  # of the next batch; None if the thread is deleted
    has_more: bool


async def start(store: Store, hub: Hub, who: Principal, thread_id: ThreadId, after: str | None) -> Place:
    """Return the place after which a follower begins: that of a cursor, or the current end of the thread.

    A cursor is the id of a living or deleted message, the cursor of a change, or "0" for the beginning.
    Errors: NotFound for the thread; InvalidRequest for a cursor that names nothing in it.
    """
    who.require(Scope.READ)
    async with store.read() as reads:
        span = await reads.span_of(who.reach, thread_id)
        if span is None:
            raise NotFound("thread", thread_id)
        begin, last = span
        mark = sys.intern(f"-{begin}-{await epochs.current(reads, hub)}")
        if after is None or after == _BEGINNING:
            return Place(begin if after else last, mark)
        message_id = ids.as_message_id(after)
        position = (
            _position_of(after, mark)
            if message_id is None
            else await reads.position_of(who.reach, thread_id, message_id)
        )
    # A later position belongs to another thread: the follower would wait forever. An earlier one belongs to a deleted
    # thread, under whose id this one was imported.
    if position is None or not begin <= position <= last:
        raise unknown_place("after", after)
    return Place(position, mark)


def _position_of(cursor: str, mark: str) -> int | None:
    """Read the position of a cursor; None if it is of another generation or epoch, or not ours."""
    digits = cursor.removesuffix(mark)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_POSITION_DIGITS):
        return None
    return int(digits) if cursor == f"{int(digits)}{mark}" else None  # one position has one cursor


def messages(
    store: Store, hub: Hub, who: Principal, thread_id: ThreadId, place: Place
) -> AsyncGenerator[Emitted[Message], None]:
    """Yield the messages of a thread after a place as they are added, until the thread is deleted.

    Errors: Unavailable, also where another epoch begins.
    """
    return _follow(store, hub, who.reach, thread_id, place=place, read=Reads.list_messages_after)


def changes(
    store: Store, hub: Hub, who: Principal, thread_id: ThreadId, place: Place
) -> AsyncGenerator[Emitted[Change], None]:
    """Yield the changes of a thread after a place; the last one is the deletion of the thread.

    Errors: as for `messages`.
    """
    return _follow(store, hub, who.reach, thread_id, place=place, read=Reads.list_changes, last=ThreadDeleted)


async def _follow(
    store: Store,
    hub: Hub,
    reach: Reach,
    thread_id: ThreadId,
    *,
    place: Place,
    read: Read[T],
    last: Callable[[int, ThreadId], T] | None = None,
) -> AsyncGenerator[Emitted[T], None]:
    """Read a thread from a place on, whenever a hint arrives, until the thread is deleted; then emit the `last`.

    No batch is held while it waits: a thousand followers would hold a thousand batches.
    """
    mark = place.mark
    with hub.listen((reach.project_id, thread_id), place.position) as audience:
        while True:
            if hub.epoch is not None and not mark.endswith(hub.epoch):
                raise Unavailable("The database was restored: read the thread again.")
            hints = audience.hints
            found: _Found[T] = await audience.reads.get(
                (reach, read, place), partial(_read_batch, store, reach, thread_id, place, read)
            )
            items, next_position, has_more = found
            del found
            unsent = items[::-1]
            del items
            while unsent:
                yield unsent.pop()
            if next_position is None:
                break
            place = Place(next_position, mark)
            if not has_more:
                await audience.wait(hints, place.position)
    if last is not None:
        yield Emitted(f"{place.position}{mark}", last(place.position, thread_id), SharedCalls())


async def _read_batch(store: Store, reach: Reach, thread_id: ThreadId, place: Place, read: Read[T]) -> _Found[T]:
    position, mark = place
    async with store.read() as reads:
        found = await read(reads, reach, thread_id, position, BATCH)
        span = None if found.items else await reads.span_of(reach, thread_id)
        is_there = bool(found.items) or (span is not None and span[0] <= position)
    items = [Emitted(f"{at}{mark}", item, SharedCalls(keeps=KEPT_ANSWERS)) for at, item in found.items]
    return _Found(items, found.position if is_there else None, found.has_more)
