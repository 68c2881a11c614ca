"""Following the list of threads: first the missed changes, then new ones; each comes at least once, some twice.

As for one thread (`follow`), a waiting follower holds neither a connection nor a queue, and followers with one reach
share their reads. A change carries the whole thread in its current state, so several changes may come as one.
Must not be here: how hints arrive (`events`), how events are sent (faces).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway.concurrency import SharedCalls
from gateway.core import epochs
from gateway.core.follow import KEPT_ANSWERS, Emitted
from gateway.core.read_marks import reader_of
from gateway.core.threads import check_filter
from gateway.domain import snapshot
from gateway.domain.change import OwnerErased, ThreadCreated, ThreadDeleted, ThreadMoved, ThreadRead, ThreadRemoved
from gateway.domain.parse_page import unknown_event_cursor
from gateway.domain.principal import Scope
from gateway.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gateway.core import Store
    from gateway.domain.change import ListChange
    from gateway.domain.principal import Principal, Reach
    from gateway.domain.snapshot import Snapshot
    from gateway.domain.thread_list import ThreadFilter
    from gateway.events.hub import Hub

BATCH: Final = 500  # changes of each kind that one read considers


class ListPlace(NamedTuple):
    """Where a follower is: what it has seen, in one epoch of the database, which ends its cursors."""

    seen: Snapshot
    mark: str


class _Found(NamedTuple):
    items: list[tuple[Emitted[ListChange | OwnerErased], bool]]  # with whether the thread itself was changed
    seen: Snapshot
    has_more: bool


async def start(store: Store, hub: Hub, who: Principal, after: str | None, only: ThreadFilter | None) -> ListPlace:
    """Return the place after which a follower begins: that of a cursor, or now.

    Errors: InvalidRequest for a cursor that is malformed, of another epoch, or of an end user who was erased since, and
    for a filter on what the caller cannot see.
    """
    who.require(Scope.READ)
    check_filter(who, only)
    async with store.read() as reads:
        mark = f"-{await epochs.current(reads, hub)}"
        now = await reads.current_snapshot()
        erased = None if after is None else await reads.erased_number(who.reach)
    if after is None:
        return ListPlace(hub.listen_to_list(_topic(who.reach)).seen or now, mark)
    seen = snapshot.load(after.removesuffix(mark)) if after.endswith(mark) else None
    if seen is None or seen.next > now.next or (erased is not None and not seen.sees(erased)):
        raise unknown_event_cursor(after)
    return ListPlace(seen, mark)


async def cursor(store: Store, hub: Hub, who: Principal) -> str:
    """Return a cursor after all that can be seen now."""
    seen, mark = await start(store, hub, who, None, None)
    return snapshot.dump(seen) + mark


async def changes(
    store: Store, hub: Hub, who: Principal, place: ListPlace, only: ThreadFilter | None = None
) -> AsyncGenerator[Emitted[ListChange], None]:
    """Yield the changes of the threads that the caller can reach, and that a filter matches, after a place.

    Read marks are those of the caller, or of the reader that the filter names.

    It ends when the owner of all these threads is erased, after their deletions. The filter is applied after the shared
    read. No batch is held while it waits: a thousand followers would hold a thousand batches.
    Errors: Unavailable, also where another epoch begins.
    """
    reach, (seen, mark) = who.reach, place
    reader = reader_of(who, None if only is None else only.reader)  # the filter was checked by `start`
    if only is not None and reach.owner is None:
        reach = replace(reach, owner=only.owner)
    with hub.listen_to_list(_topic(reach)) as audience:
        while True:
            if hub.epoch is not None and not mark.endswith(hub.epoch):
                raise Unavailable("The database was restored: read the threads again.")
            hints = audience.hints
            read = partial(_read_batch, store, reach, seen, mark, reader)
            found: _Found = await audience.reads.get((reach, reader, seen), read)
            items, after, has_more = found
            del found
            unsent = items[::-1]
            del items
            while unsent:
                found_event, is_own = unsent.pop()
                if isinstance(found_event.item, OwnerErased):
                    if reach.owner is not None:
                        return
                    continue
                event = _filtered(only, found_event, is_own)
                if event is not None:
                    yield event
            seen = after if has_more else audience.meet(seen, after)
            if not has_more:
                await audience.wait_from(hints, seen.lowest)


def _filtered(only: ThreadFilter | None, event: Emitted[Any], is_own: bool) -> Emitted[Any] | None:  # noqa: FBT001
    """Return a change as a filter shows it: a thread that does not match now may have matched before."""
    change = event.item
    if only is None or isinstance(change, ThreadDeleted | ThreadRead) or only.matches(change.thread):
        return event
    may_have_matched = is_own or (only.active_before is not None and isinstance(change, ThreadMoved | ThreadCreated))
    return event._replace(item=ThreadRemoved(change.thread), answers=SharedCalls()) if may_have_matched else None


def _topic(reach: Reach) -> tuple[str, str | None]:
    return reach.project_id, reach.owner


async def _read_batch(store: Store, reach: Reach, seen: Snapshot, mark: str, reader: str | None) -> _Found:
    async with store.read() as reads:
        found = await reads.list_thread_changes(reach, seen, BATCH, reader)
    items: list[tuple[Emitted[Any], bool]] = [
        (Emitted(snapshot.dump(seen_after) + mark, change, SharedCalls(keeps=KEPT_ANSWERS)), is_own)
        for _, seen_after, change, is_own in found.items
    ]
    return _Found(items, found.seen, found.has_more)
