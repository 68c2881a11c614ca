"""How often, and how much at once, each caller may ask.

Both faces count alike: a REST request is one, a GraphQL operation one for each hundred objects that it may ask for,
which is what the largest page of REST brings.
Must not be here: who calls (`authenticator`), what is answered to those who are refused (faces).
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from gateway.domain.principal import Scope
from gateway.errors import TooManyRequests
from gateway.observability.record import Allowance, current

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from contextlib import AbstractAsyncContextManager

    from limits import RateLimitItem
    from limits.aio.storage import Storage
    from redis.asyncio import BlockingConnectionPool

    from gateway.domain.principal import Principal

log: Final = logging.getLogger(__name__)

OBJECTS: Final = 100  # of a GraphQL operation's cost, that count as one request
MEMORY: Final = "memory"
POOL: Final = 20  # connections to Redis
STORE_S: Final = 1.0  # how long Redis may take to answer
# Networks are counted in so many places, whatever their number: they take 5 MB at most. Two that meet in one share its
# limit, which costs neither anything but the word that it is refused with.
NETWORKS: Final = 8_192
_FAILED: Final = "failed-authentication"
_TOO_MANY_FAILED: Final = "Too many requests from your address had no valid API key. Please try again later."
_SLOW_DOWN: Final = "You've exceeded the rate limit, please slow down and try again later."


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What one caller may do: reads and writes in a time, as `600/minute`, and requests at once; None is any number.

    `failures` is how often authentication may fail from one address until it is refused with another word.
    `store` is where they are counted: `memory` by each process for itself, or a Redis for all of them together.
    """

    reads: str | None = None
    writes: str | None = None
    concurrent: int | None = None
    store: str = MEMORY
    failures: str | None = None


class RateLimiter:
    """Counts what each caller does."""

    def __init__(self, limits: RateLimits) -> None:
        self._counter = _Counter(limits) if limits.reads is not None or limits.writes is not None else None
        self._limits = limits
        self._failures: _Counter | None = None  # made by the first one: it takes a library that few else need
        self._concurrent = limits.concurrent
        self._running: Counter[str] = Counter()

    async def close(self) -> None:
        """Close the connections to Redis, if there are any."""
        for each in {self._counter, self._failures} - {None}:
            await cast("_Counter", each).close()

    async def charge_failure(self, network: str) -> None:
        """Count a failed authentication from a network; who is known is never asked for it.

        Errors: TooManyRequests.
        """
        if self._limits.failures is not None:
            self._failures = self._failures or self._counter or _Counter(self._limits)
            await self._failures.count_failure(network)

    def charge(self, who: Principal, scope: Scope, units: int = 1) -> Awaitable[None] | None:
        """Count what a caller does, or give back what was counted where `units` is negative; None if nothing counts.

        Errors: TooManyRequests, when it is awaited.
        """
        return None if self._counter is None or not units else self._counter.count(who.buckets, scope, units)

    def acquire(self, who: Principal, scope: Scope, units: int = 1) -> AbstractAsyncContextManager[None] | None:
        """Let a caller do something, which lasts as long as the block; None where nothing is counted.

        Errors: TooManyRequests, as the block begins.
        """
        is_counted = self._counter is not None and units != 0
        return self._acquire(who, scope, units) if is_counted or self._concurrent is not None else None

    @asynccontextmanager
    async def _acquire(self, who: Principal, scope: Scope, units: int) -> AsyncIterator[None]:
        buckets = who.buckets
        if self._concurrent is not None and any(self._running[each] >= self._concurrent for each in buckets):
            raise TooManyRequests(_SLOW_DOWN, code="rate_limit_exceeded", retry_after_s=1)
        self._running.update(buckets)
        try:
            if self._counter is not None and units:
                await self._counter.count(buckets, scope, units)
            yield
        finally:
            self._running.subtract(buckets)
            for each in buckets:
                if not self._running[each]:
                    del self._running[each]


class _Counter:
    """Counts requests in a time."""

    def __init__(self, limits: RateLimits) -> None:
        # Whoever is alone with the server on a machine is not counted, and need not load what counts.
        from limits import parse  # noqa: PLC0415  (as said above)
        from limits.aio.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415
        from limits.errors import StorageError  # noqa: PLC0415

        rates = ((Scope.READ, limits.reads), (Scope.WRITE, limits.writes))
        self._limits: dict[Scope, RateLimitItem] = {scope: parse(rate) for scope, rate in rates if rate is not None}
        self._failures = None if limits.failures is None else parse(limits.failures)
        self._pool = None if limits.store == MEMORY else _redis(limits.store)
        self._limiter = SlidingWindowCounterRateLimiter(_storage(self._pool))
        self._away = StorageError

    async def close(self) -> None:
        """Close the connections to Redis, if there are any."""
        if self._pool is not None:
            await self._pool.aclose()

    async def count(self, buckets: tuple[str, ...], scope: Scope, units: int) -> None:
        """Count what a caller does in each of its buckets, or in none where one of them is full.

        Errors: TooManyRequests.
        """
        limit = self._limits.get(scope)
        if limit is None:
            return
        cost = min(units, limit.amount)  # what costs more than there ever is could never be done
        try:
            is_allowed = len(buckets) == 1 or all(
                [await self._limiter.test(limit, each, scope.value, cost=cost) for each in buckets]
            )
            is_allowed = is_allowed and all(
                [await self._limiter.hit(limit, each, scope.value, cost=cost) for each in buckets]
            )
            left = [await self._limiter.get_window_stats(limit, each, scope.value) for each in buckets]
        except self._away as error:
            log.warning("rate limits are not enforced, since their storage is unavailable: %s", error)
            return
        reset_at, remaining = min(left, key=lambda stats: stats.remaining)
        reset_s = max(1, math.ceil(reset_at - time.time()))
        if record := current.get():
            record.allowance = Allowance(limit.amount, remaining, reset_s)
        if not is_allowed:
            raise TooManyRequests(_SLOW_DOWN, code="rate_limit_exceeded", retry_after_s=reset_s)

    async def count_failure(self, network: str) -> None:
        """Count a failed authentication.

        Errors: TooManyRequests.
        """
        limit = self._failures
        if limit is None:
            return
        place = str(int.from_bytes(hashlib.blake2b(network.encode(), digest_size=4).digest()) % NETWORKS)
        try:
            if await self._limiter.hit(limit, _FAILED, place):
                return
            reset_at, _ = await self._limiter.get_window_stats(limit, _FAILED, place)
        except self._away as error:
            log.warning("failed authentication is not limited, since its storage is unavailable: %s", error)
            return
        reset_s = max(1, math.ceil(reset_at - time.time()))
        raise TooManyRequests(_TOO_MANY_FAILED, code="rate_limit_exceeded", retry_after_s=reset_s)


def units_of(cost: int) -> int:
    """Say how many requests a GraphQL operation of a cost counts as."""
    return max(1, math.ceil(cost / OBJECTS))


def _redis(url: str) -> BlockingConnectionPool:
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415  (an extra)

    bounds: dict[str, Any] = {"max_connections": POOL, "timeout": STORE_S}
    return BlockingConnectionPool.from_url(url, socket_timeout=STORE_S, socket_connect_timeout=STORE_S, **bounds)


def _storage(pool: BlockingConnectionPool | None) -> Storage:
    from limits.aio.storage import MemoryStorage, RedisStorage  # noqa: PLC0415  (as above)

    if pool is None:
        return MemoryStorage()
    # The pool is ours, since the library has no way to close one.
    options: dict[str, Any] = {"connection_pool": pool}
    return RedisStorage("async+redis://", wrap_exceptions=True, implementation="redispy", **options)
