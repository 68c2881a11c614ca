"""Hints from other processes on one SQLite file, by polling the followed threads whenever the file has changed.

Must not be here: SQL; the store returns the version of the file and the positions of threads.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from gateway.domain.change import Topic
    from gateway.events.hub import Hub

INTERVAL_S: Final = 0.1


async def poll(
    hub: Hub,
    version: Callable[[], Awaitable[object]],
    positions: Callable[[Sequence[Topic]], Awaitable[Mapping[Topic, int]]],
) -> None:
    """Wake the listeners of threads that other processes have changed, until cancelled.

    Errors: Unavailable.
    """
    seen_version: object = None
    seen: Mapping[Topic, int] = {}
    while True:
        await asyncio.sleep(INTERVAL_S)
        followed = hub.topics()
        if not followed:
            continue
        current = await version()
        if current == seen_version and seen.keys() >= set(followed):
            continue
        now = await positions(followed)
        hub.wake(topic for topic in followed if now.get(topic, -1) != seen.get(topic))
        seen_version, seen = current, {topic: now.get(topic, -1) for topic in followed}
