"""What tests of hints share: the two carriers, and an exchange that is connected again whenever it is lost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from gateway.events import postgres, redis
from gateway.events.exchange import Exchange
from gateway.events.hub import Hub
from gateway.store.engines.open import connector_to_listen
from tests.following import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.events.exchange import Carrier


def carrier_at(url: str) -> Carrier:
    """Return the carrier for the URL of a PostgreSQL or a Redis."""
    if url.startswith("postgresql"):
        return partial(postgres.connected, connector_to_listen(url, ""))
    return partial(redis.connected, url)


@asynccontextmanager
async def exchanging(carrier: Carrier, hub: Hub | None = None) -> AsyncIterator[Exchange]:
    """Exchange hints for the duration of the block, which begins once they arrive."""
    exchange = Exchange(hub or Hub(), carrier)
    running = asyncio.create_task(_again_and_again(exchange))
    try:
        await until(lambda: exchange.is_listening)
        yield exchange
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _again_and_again(exchange: Exchange) -> None:
    while True:
        with suppress(OSError):
            await exchange.run()
        await asyncio.sleep(0.01)
