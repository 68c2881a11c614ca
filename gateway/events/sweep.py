"""The sweep: asks the database again and again how far the followed threads are, whatever hints have arrived.

It makes good the hints that were lost. On SQLite, where nothing carries hints, it is how processes find each other's
changes.
Must not be here: SQL; the store returns the version of the file and the positions of threads.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from gateway.domain.change import Topic
    from gateway.domain.snapshot import Snapshot
    from gateway.events.hub import Hub

    ChangedOwners = Callable[
        [Sequence[str], Snapshot | None], Awaitable[tuple[Snapshot, list[tuple[str, str | None, int | None]]]]
    ]

INTERVAL_S: Final = 0.95  # so that a change whose hint was lost is found within a second
POLL_S: Final = 0.1  # where there are no hints


async def sweep(
    hub: Hub,
    positions: Callable[[Sequence[Topic]], Awaitable[Mapping[Topic, int | None]]],
    *,
    changed_owners: ChangedOwners | None = None,
    version: Callable[[], Awaitable[object]] | None = None,
    interval_s: float = INTERVAL_S,
) -> None:
    """Wake the listeners of threads, and of lists, that have changed without a hint, until cancelled.

    Nothing is asked while nobody follows; and only the `version`, if there is one, while nobody writes.
    Errors: Unavailable.
    """
    clock, seen = asyncio.get_running_loop().time, object()
    snapshot: Snapshot | None = None
    next_at = clock()
    while True:
        next_at = max(next_at + interval_s, clock())
        await asyncio.sleep(next_at - clock())
        followed, projects = hub.topics(), hub.listed_projects()
        if not projects:
            snapshot = None  # those that come next are woken once
        if not (followed or projects):
            continue
        current = object() if version is None else await version()
        if current == seen and (snapshot is not None or not projects):
            continue
        if followed:
            hub.compare(await positions(followed))
        if projects and changed_owners is not None:
            snapshot, changed = await changed_owners(projects, snapshot)
            hub.wake_lists(changed)
        seen = current
