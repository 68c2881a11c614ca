"""Rate limits and limits of concurrent requests per caller.

A REST request costs one unit; a GraphQL operation one unit for each hundred objects of its cost, the size of the
largest page of REST.
Must not be here: authentication (`authenticator`), error responses (faces).
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gateway.domain.principal import Scope
from gateway.errors import TooManyRequests
from gateway.observability.record import Allowance, current

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from limits import RateLimitItem
    from limits.aio.storage import Storage
    from redis.asyncio import BlockingConnectionPool

    from gateway.domain.principal import Principal

log: Final = logging.getLogger(__name__)

OBJECTS: Final = 100  # of a GraphQL operation's cost that count as one request
MEMORY: Final = "memory"
POOL: Final = 20  # connections to Redis
STORE_S: Final = 1.0  # timeout of Redis
# Networks are hashed into so many counters, which take 5 MB at most. Two networks that share a counter share its
# limit, which changes only the error that a failed request gets.
NETWORKS: Final = 8_192
_FAILED: Final = "failed-authentication"
_TOKENS: Final = "tokens-of-runs"
_NO_TOKENS: Final = "The runs of this API key have used up its tokens, please try again later."
_TOO_MANY_FAILED: Final = "Too many requests from your address had no valid API key. Please try again later."
_SLOW_DOWN: Final = "You've exceeded the rate limit, please slow down and try again later."


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits of one caller: reads and writes per time, as `600/minute`, and concurrent requests; None is unlimited.

    `failures` limits failed authentication per address, and `tokens` what the runs of one key may cost. `store` is
    where requests are counted: `memory` in each process, or the URL of a Redis for all processes.
    """

    reads: str | None = None
    writes: str | None = None
    concurrent: int | None = None
    store: str = MEMORY
    failures: str | None = None
    tokens: str | None = None


class RateLimiter:
    """Applies the limits to each caller."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        is_counted = any(each is not None for each in (limits.reads, limits.writes, limits.tokens))
        # For failures alone it is made at the first one: it loads a library that few installations need.
        self._counter = _Counter(limits) if is_counted else None
        self._concurrent = limits.concurrent
        self._running: Counter[str] = Counter()

    async def close(self) -> None:
        """Close the connections to Redis, if any."""
        if self._counter is not None:
            await self._counter.close()

    async def charge_failure(self, network: str) -> None:
        """Count a failed authentication from a network; never called for a valid credential.

        Errors: TooManyRequests.
        """
        if self._limits.failures is not None:
            self._counter = self._counter or _Counter(self._limits)
            await self._counter.count_failure(network)

    async def require_tokens(self, payer: str) -> None:
        """Check that a payer has tokens of runs left.

        Errors: TooManyRequests.
        """
        if self._counter is not None:
            await self._counter.require_tokens(payer)

    async def spend_tokens(self, payer: str, tokens: int) -> None:
        """Count the tokens of a model's call; the last call may exceed the limit."""
        if self._counter is not None:
            await self._counter.spend_tokens(payer, tokens)

    def charge(self, who: Principal, scope: Scope, units: int = 1) -> Awaitable[None] | None:
        """Charge units to a caller, or refund them if negative; None if there is no limit.

        Errors: TooManyRequests, when awaited.
        """
        return None if self._counter is None or not units else self._counter.count(who.buckets, scope, units)

    async def count_as_read(self, who: Principal, units: int = 1) -> None:
        """Charge as a read what was charged as a write.

        Errors: TooManyRequests.
        """
        if self._counter is not None:
            await self._counter.count(who.buckets, Scope.WRITE, -units)
            await self._counter.count(who.buckets, Scope.READ, units)

    def acquire(self, who: Principal, scope: Scope, units: int = 1) -> AbstractAsyncContextManager[None] | None:
        """Charge units and take a slot of concurrent requests for the block; None if there is no limit.

        Errors: TooManyRequests, on entry.
        """
        is_counted = self._counter is not None and units != 0
        return self._acquire(who, scope, units) if is_counted or self._concurrent is not None else None

    @asynccontextmanager
    async def _acquire(self, who: Principal, scope: Scope, units: int) -> AsyncIterator[None]:
        buckets = who.buckets
        if self._concurrent is not None and any(self._running[each] >= self._concurrent for each in buckets):
            raise TooManyRequests(_SLOW_DOWN, retry_after_s=1)
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
    """Counts requests in sliding windows."""

    def __init__(self, limits: RateLimits) -> None:
        # A server without limits does not load the library.
        from limits import parse  # noqa: PLC0415  (see above)
        from limits.aio.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415
        from limits.errors import StorageError  # noqa: PLC0415

        rates = ((Scope.READ, limits.reads), (Scope.WRITE, limits.writes))
        self._limits: dict[Scope, RateLimitItem] = {scope: parse(rate) for scope, rate in rates if rate is not None}
        self._failures = None if limits.failures is None else parse(limits.failures)
        self._tokens = None if limits.tokens is None else parse(limits.tokens)
        self._pool = None if limits.store == MEMORY else _redis(limits.store)
        self._limiter = SlidingWindowCounterRateLimiter(_storage(self._pool))
        self._away = StorageError

    async def close(self) -> None:
        """Close the connections to Redis, if any."""
        if self._pool is not None:
            await self._pool.aclose()

    async def count(self, buckets: tuple[str, ...], scope: Scope, units: int) -> None:
        """Charge each bucket of a caller, or none if one of them is full.

        Errors: TooManyRequests.
        """
        limit = self._limits.get(scope)
        if limit is None:
            return
        cost = max(-limit.amount, min(units, limit.amount))  # a higher cost could never be charged
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
        reset_s = _seconds_to(reset_at)
        if record := current.get():
            record.allowance = Allowance(limit.amount, remaining, reset_s)
        if not is_allowed:
            raise TooManyRequests(_SLOW_DOWN, retry_after_s=reset_s)

    async def require_tokens(self, payer: str) -> None:
        """Check that a payer has tokens left.

        Errors: TooManyRequests.
        """
        if self._tokens is not None:
            await self._refuse_above(self._limiter.test, self._tokens, _TOKENS, payer, message=_NO_TOKENS)

    async def spend_tokens(self, payer: str, tokens: int) -> None:
        """Count tokens, as many as are left."""
        limit = self._tokens
        if limit is None:
            return
        try:
            _, left = await self._limiter.get_window_stats(limit, _TOKENS, payer)
            if left > 0:
                await self._limiter.hit(limit, _TOKENS, payer, cost=min(tokens, left))
        except self._away as error:
            log.warning("tokens of a run are not counted, since their storage is unavailable: %s", error)

    async def count_failure(self, network: str) -> None:
        """Count a failed authentication.

        Errors: TooManyRequests.
        """
        if self._failures is not None:
            place = str(int.from_bytes(hashlib.blake2b(network.encode(), digest_size=4).digest()) % NETWORKS)
            await self._refuse_above(self._limiter.hit, self._failures, _FAILED, place, message=_TOO_MANY_FAILED)

    async def _refuse_above(
        self, use: Callable[..., Awaitable[bool]], limit: RateLimitItem, *place: str, message: str
    ) -> None:
        """Use a limit, by `test` or `hit` of the limiter.

        Errors: TooManyRequests.
        """
        try:
            if await use(limit, *place):
                return
            reset_at, _ = await self._limiter.get_window_stats(limit, *place)
        except self._away as error:
            log.warning("the limit of %s is not enforced, since its storage is unavailable: %s", place[0], error)
            return
        raise TooManyRequests(message, retry_after_s=_seconds_to(reset_at))


def _seconds_to(reset_at: float) -> int:
    return max(1, math.ceil(reset_at - time.time()))


def units_of(cost: int) -> int:
    """Convert the cost of a GraphQL operation to units."""
    return max(1, math.ceil(cost / OBJECTS))


def _redis(url: str) -> BlockingConnectionPool:
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415  (an extra)

    bounds: dict[str, Any] = {"max_connections": POOL, "timeout": STORE_S}
    return BlockingConnectionPool.from_url(url, socket_timeout=STORE_S, socket_connect_timeout=STORE_S, **bounds)


def _storage(pool: BlockingConnectionPool | None) -> Storage:
    from limits.aio.storage import MemoryStorage, RedisStorage  # noqa: PLC0415  (as above)

    if pool is None:
        return MemoryStorage()
    # Our own pool, since the library cannot close its own.
    options: dict[str, Any] = {"connection_pool": pool}
    return RedisStorage("async+redis://", wrap_exceptions=True, implementation="redispy", **options)
