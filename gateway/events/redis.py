"""Hints carried by Redis, by one channel for each number of a database there.

Must not be here: what is counted in Redis (`auth.rate_limits`).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from gateway.events import payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from redis.asyncio.client import PubSub

    from gateway.domain.change import Hint
    from gateway.events.exchange import Receive, Send

CHANNEL: Final = "gateway_hints"
_CONNECT_S: Final = 5.0
_READ_S: Final = 3600.0  # the longest wait of one call


@asynccontextmanager
async def connected(url: str, receive: Receive, on_lost: Callable[[], None]) -> AsyncIterator[Send]:
    """Send and receive hints for the duration of the block; for the parameters see `exchange.Carrier`."""
    from redis.asyncio import Redis  # noqa: PLC0415  (an extra)
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    # The library must not reconnect silently: hints sent meanwhile would be missing unnoticed.
    client = Redis.from_url(url, socket_connect_timeout=_CONNECT_S, retry=Retry(NoBackoff(), 0))
    channel = f"{CHANNEL}:{client.connection_pool.connection_kwargs.get('db') or 0}"

    async def send(hints: Collection[Hint]) -> None:
        for each in payload.dump(hints):
            await client.publish(channel, each)

    try:
        async with client, client.pubsub() as subscribed:
            await subscribed.subscribe(channel)
            if await subscribed.get_message(timeout=_CONNECT_S) is None:
                raise ConnectionError("no hints from Redis: it does not answer")
            reading = asyncio.create_task(_read(subscribed, receive, on_lost))
            try:
                yield send
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
    except RedisError as error:
        raise ConnectionError(f"no hints from Redis: {error}") from error


async def _read(subscribed: PubSub, receive: Receive, on_lost: Callable[[], None]) -> None:
    try:
        while True:
            message: dict[str, Any] | None = await subscribed.get_message(timeout=_READ_S)
            if message is not None:
                receive(payload.load(message["data"]))
    finally:
        on_lost()
