"""The sweep: polls the database for the positions of the followed threads, whatever hints have arrived.

It finds changes whose hints were lost. On SQLite, which has no carrier, processes find each other's changes by it.
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
    changed_owners: ChangedOwners,
    version: Callable[[], Awaitable[object]] | None = None,
    interval_s: float = INTERVAL_S,
) -> None:
    """Wake the listeners of threads, and of lists, that have changed without a hint, until cancelled.

    Without followers it asks nothing; without writes only the `version`, if there is one.
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
            snapshot = None  # the next followers are woken once
        if not (followed or projects):
            continue
        current = object() if version is None else await version()
        if current == seen and (snapshot is not None or not projects):
            continue
        if followed:
            hub.compare(await positions(followed))
        if projects:
            snapshot, changed = await changed_owners(projects, snapshot)
            hub.wake_lists(changed)
        seen = current
