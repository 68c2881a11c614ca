"""Caches of API keys and of the status of thread tokens, and the times of last use.

Must not be here: stored keys (`core.api_keys`).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.core import api_keys, thread_tokens
from gateway.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Iterable, Mapping

    from gateway.core import Store
    from gateway.core.thread_tokens import Standing
    from gateway.domain.api_key import ApiKey
    from gateway.domain.principal import Principal, Reach, TokenEpoch

T = TypeVar("T")

FRESH_S: Final = 0.4  # lifetime of a cached key; so a revoked one is rejected within a second
LOOK_UP_S: Final = 2.0  # time for a look-up: the caller may have no deadline yet
_STEPS: Final = 20  # of that time
WRITE_S: Final = 30.0  # interval of writing the times of last use
MOST: Final = 10_000


class TokenStatusCache:
    """Caches whether thread tokens are valid: their API key is, and they were not revoked.

    An entry lives for FRESH_S from the begin of its look-up; so a revoked token is rejected within a second, by all
    processes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: OrderedDict[tuple[Reach, str | None], tuple[float, Standing]] = OrderedDict()
        self._invalidations = 0

    async def is_valid(self, who: Principal, key_id: str | None) -> bool:
        """Check whether a token is still valid."""
        place = who.reach, key_id
        seen, now = self._seen.get(place), time.monotonic()
        if seen is not None and now - seen[0] < FRESH_S:
            found = seen[1]
        else:
            before = self._invalidations
            found = await _in_time(thread_tokens.standing(self._store, who.reach, key_id))
            if before == self._invalidations:  # otherwise it may have read what was revoked meanwhile
                self._keep(place, now, found)
        has_valid_key, epoch = found
        return has_valid_key and epoch in (None, who.epoch)  # None: the thread was deleted

    async def later_epochs(self, holders: Iterable[Principal]) -> Mapping[tuple[str, str], TokenEpoch]:
        """Find the epochs of the threads of tokens, by project and thread, where they are not the first."""
        wanted = defaultdict[str, set[str]](set)
        for who in holders:
            if who.reach.thread_id is not None:
                wanted[who.reach.project_id].add(who.reach.thread_id)
        return await thread_tokens.later_epochs(self._store, wanted) if wanted else {}

    def invalidate(self, reach: Reach) -> None:
        """Drop the cached tokens of a thread, also those that are being looked up."""
        self._invalidations += 1
        for place in [each for each in self._seen if each[0] == reach]:
            del self._seen[place]

    def _keep(self, place: tuple[Reach, str | None], asked_at: float, found: Standing) -> None:
        self._seen[place] = (asked_at, found)
        self._seen.move_to_end(place)
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)


class ApiKeyCache:
    """Finds API keys by their secrets; a valid key is cached for FRESH_S from the begin of its look-up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.token_statuses = TokenStatusCache(store)
        self._seen: OrderedDict[bytes, tuple[float, ApiKey, Principal]] = OrderedDict()
        self._uses: dict[str, int] = {}
        self._requires_keys = False
        self._asked_at = float("-inf")

    async def requires_keys(self) -> bool:
        """Check whether any key was ever created; once true, it stays true."""
        now = time.monotonic()
        if not self._requires_keys and now - self._asked_at >= FRESH_S:
            self._requires_keys = await _in_time(api_keys.any_made(self._store))
            self._asked_at = now
        return self._requires_keys

    def cached(self, secret: str) -> Principal | None:
        """Return the principal of a secret, if its key was valid a moment ago, and has not expired since."""
        seen = self._seen.get(_place_of(secret))
        return None if seen is None or time.monotonic() - seen[0] >= FRESH_S else self._used(*seen)

    async def find(self, secret: str) -> Principal | None:
        """Return the principal of a secret, if its key is valid."""
        if (known := self.cached(secret)) is not None:
            return known
        now = time.monotonic()
        seen = self._keep(_place_of(secret), now, await _in_time(api_keys.find(self._store, secret)))
        return None if seen is None else self._used(*seen)

    async def valid_ids(self, key_ids: Collection[str]) -> set[str]:
        """Return the keys that are still valid."""
        return await api_keys.still_good(self._store, key_ids)

    async def write_last_uses(self) -> None:
        """Write the times of last use every WRITE_S, and when cancelled; what fails is kept for the next time."""
        try:
            while True:
                await asyncio.sleep(WRITE_S)
                await self._write()
        except asyncio.CancelledError:
            await self._write()
            raise

    def _used(self, _asked_at: float, key: ApiKey, who: Principal) -> Principal | None:
        now = time.time()
        if not key.is_active(now):
            return None
        self._uses[key.id] = int(now)
        return who

    def _keep(self, place: bytes, asked_at: float, key: ApiKey | None) -> tuple[float, ApiKey, Principal] | None:
        self._seen.pop(place, None)
        if key is None:
            return None
        seen = self._seen[place] = (asked_at, key, key.principal())
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)
        return seen

    async def _write(self) -> None:
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await api_keys.note_uses(self._store, uses)
        except BaseException:  # it is raised again
            self._uses = uses | self._uses
            raise


def _place_of(secret: str) -> bytes:
    """Return a digest to cache a key by, since the secret itself is never kept.

    It is not the one that is stored: OpenSSL's SHA-256 takes three times as long where its code is in no cache.
    """
    return hashlib.blake2b(secret.encode(errors="surrogatepass"), digest_size=32).digest()


async def _in_time(looking: Awaitable[T]) -> T:
    """Wait for a look-up in steps, of which a late one counts once: a busy loop is no fault of the database."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as deadline:
            timer: asyncio.TimerHandle

            def step(left: int) -> None:
                nonlocal timer
                if left:
                    timer = loop.call_later(LOOK_UP_S / _STEPS, step, left - 1)
                else:
                    deadline.reschedule(loop.time())

            timer = loop.call_later(LOOK_UP_S / _STEPS, step, _STEPS - 1)
            try:
                return await looking
            finally:
                timer.cancel()
    except TimeoutError:
        raise Unavailable(
            f"The credential could not be checked within {LOOK_UP_S:g} seconds. Please try again."
        ) from None
