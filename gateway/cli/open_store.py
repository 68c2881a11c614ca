"""Run one piece of asynchronous work with an open store, as commands do.

Must not be here: what the work is.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gateway.events.exchange import SEND_S, gather
from gateway.store.schema.ready import make_ready
from gateway.store.store import opened_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from gateway.core import Store
    from gateway.domain.change import Hint, Topic
    from gateway.events.exchange import Carrier

T = TypeVar("T")


def run_with_store(database_url: str, work: Callable[[Store], Awaitable[T]], carrier: Carrier | None = None) -> T:
    """Check the database, and migrate it if it is a SQLite file; open it, run the work and close it.

    With a carrier, servers are sent hints of the changes.
    Errors: DatabaseBehind; Unavailable.
    """

    async def run() -> T:
        await make_ready(database_url)
        hints: dict[Topic, Hint] = {}
        async with opened_store(database_url, partial(gather, hints)) as store:
            result = await work(store)
        if carrier is not None and hints:
            await _send(carrier, hints.values())
        return result

    return asyncio.run(run())


async def _send(carrier: Carrier, hints: Collection[Hint]) -> None:
    """Send hints; without them, servers find the changes within a second."""
    with suppress(OSError):  # also where it takes too long
        async with asyncio.timeout(SEND_S), carrier(lambda _hints: None, lambda: None) as send:
            await send(hints)
