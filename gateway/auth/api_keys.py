"""The keys that this process has seen lately, when they were last used, and what tokens stand or fall with.

Must not be here: what is kept of keys (`core.api_keys`).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Final

from gateway.core import api_keys, thread_tokens
from gateway.domain.api_key import digest_of
from gateway.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from gateway.core import Store
    from gateway.core.thread_tokens import Standing
    from gateway.domain.api_key import ApiKey
    from gateway.domain.principal import Principal, Reach, TokenEpoch

FRESH_S: Final = 0.4  # how long a key is believed without a look; so a revoked one is refused within a second
WRITE_S: Final = 30.0  # how often last uses are written down
MOST: Final = 10_000


class TokenStatusCache:
    """Says which tokens for one thread are still good: their keys are, and nobody has revoked them since.

    One is looked up again only after FRESH_S; so a revoked one is refused within a second, by all processes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: OrderedDict[tuple[Reach, str | None], tuple[float, Standing]] = OrderedDict()

    async def is_valid(self, who: Principal, key_id: str | None) -> bool:
        """Say whether a token still lets its holder in."""
        place = who.reach, key_id
        seen = self._seen.get(place)
        if seen is None or time.monotonic() - seen[0] >= FRESH_S:
            seen = self._seen[place] = (time.monotonic(), await thread_tokens.standing(self._store, who.reach, key_id))
            self._seen.move_to_end(place)
            if len(self._seen) > MOST:
                self._seen.popitem(last=False)
        _, (has_valid_key, epoch) = seen
        return has_valid_key and epoch in (None, who.epoch)  # of a thread that is gone there is nothing to be let into

    async def later_epochs(self, holders: Iterable[Principal]) -> Mapping[tuple[str, str], TokenEpoch]:
        """Find which epochs the threads have that tokens let in to, by project and thread, where not the first."""
        wanted = defaultdict[str, set[str]](set)
        for who in holders:
            if who.reach.thread_id is not None:
                wanted[who.reach.project_id].add(who.reach.thread_id)
        return await thread_tokens.later_epochs(self._store, wanted) if wanted else {}

    def invalidate(self, reach: Reach) -> None:
        """Look the tokens for a thread up again before any of them is believed."""
        for place in [each for each in self._seen if each[0] == reach]:
            del self._seen[place]


class ApiKeyCache:
    """Finds keys by their secrets; one that is good is looked up again only after FRESH_S."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.token_statuses = TokenStatusCache(store)
        self._seen: OrderedDict[str, tuple[float, ApiKey, Principal]] = OrderedDict()
        self._uses: dict[str, int] = {}
        self._requires_keys = False
        self._asked_at = float("-inf")

    async def requires_keys(self) -> bool:
        """Say whether a key was ever made; once one was, the answer stays."""
        if not self._requires_keys and time.monotonic() - self._asked_at >= FRESH_S:
            self._requires_keys = await api_keys.any_made(self._store)
            self._asked_at = time.monotonic()
        return self._requires_keys

    async def find(self, secret: str) -> Principal | None:
        """Find out who comes with a secret, if its key lets anybody in."""
        digest = digest_of(secret)  # the secret itself is not kept, also not in memory
        seen = self._seen.get(digest)
        if seen is None or time.monotonic() - seen[0] >= FRESH_S:
            seen = self._keep(digest, await api_keys.find(self._store, secret))
            if seen is None:
                return None
        _, key, who = seen
        now = time.time()
        if not key.is_active(now):
            return None
        self._uses[key.id] = int(now)
        return who

    async def valid_ids(self, key_ids: Collection[str]) -> set[str]:
        """Say which keys still let anybody in."""
        return await api_keys.still_good(self._store, key_ids)

    async def write_last_uses(self) -> None:
        """Write last uses down from time to time, and at the end; it never ends by itself."""
        try:
            while True:
                await asyncio.sleep(WRITE_S)
                await self._write()
        finally:
            await self._write()

    def _keep(self, digest: str, key: ApiKey | None) -> tuple[float, ApiKey, Principal] | None:
        self._seen.pop(digest, None)
        if key is None:
            return None
        seen = self._seen[digest] = (time.monotonic(), key, key.principal())
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)
        return seen

    async def _write(self) -> None:
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await api_keys.note_uses(self._store, uses)
        except Unavailable:
            self._uses = uses | self._uses
