"""Run one piece of asynchronous work with an open store, as commands do.

Must not be here: what the work is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from gateway.store.schema.ready import make_ready
from gateway.store.store import opened_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.core import Store

T = TypeVar("T")


def run_with_store(database_url: str, work: Callable[[Store], Awaitable[T]]) -> T:
    """Check the database, and migrate it if it is a SQLite file; open it, run the work and close it.

    Errors: DatabaseBehind; Unavailable.
    """

    async def run() -> T:
        await make_ready(database_url)
        async with opened_store(database_url) as store:
            return await work(store)

    return asyncio.run(run())
