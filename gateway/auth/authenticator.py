"""Authentication of requests and connections, for both faces.

Must not be here: authorization (`domain.principal`), storage of API keys (`core.api_keys`).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from gateway.auth import thread_tokens
from gateway.auth.failures import FailureLog
from gateway.auth.rate_limits import RateLimiter, RateLimits
from gateway.concurrency import Registration
from gateway.domain import bounds
from gateway.domain.api_key import PREFIX
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.errors import Unauthorized
from gateway.observability.record import current

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractContextManager

    from gateway.auth.api_keys import ApiKeyCache
    from gateway.auth.jwt import JwtVerifier
    from gateway.domain.ids import ThreadId
    from gateway.web.request import Headers

ANY_CALLER: Final = "everybody"  # instead of a key id: valid until the first key is created
ANONYMOUS: Final = Principal(Reach("default"), KEY_SCOPES, key_id=ANY_CALLER)
RECHECK_S: Final = 0.4  # interval of re-authentication; together with the cache's FRESH_S below a second
MAX_CREDENTIAL: Final = bounds.CREDENTIAL.number
_SHOWN_START, _SHOWN_END, _MOST_SHOWN = 8, 4, 64
_NO_KEY: Final = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY). You can make one with: gateway keys create"
)


class Authenticator:
    """Authenticates callers by their credentials, and closes connections whose credential expires or is revoked.

    Without a key cache every request is accepted; without one of the others, that kind of credential is rejected.
    """

    def __init__(
        self,
        key_cache: ApiKeyCache | None = None,
        jwt_verifier: JwtVerifier | None = None,
        tokens: thread_tokens.ThreadTokens | None = None,
        rate_limits: RateLimiter | None = None,
    ) -> None:
        self._key_cache = key_cache
        self._jwt_verifier = jwt_verifier
        self.tokens = tokens
        self.rate_limits = rate_limits or RateLimiter(RateLimits())
        self._failures = FailureLog()
        self._connected: set[tuple[Principal, Callable[[], object]]] = set()

    async def authenticate(self, credential: str | None) -> Principal:
        """Return the principal of a credential.

        The limit of failures is applied after the look-up, since it must never reject a valid credential. A look-up is
        bounded: one row by its digest, or one signature.
        Errors: Unauthorized; TooManyRequests after too many failures; Unavailable if the look-up is not possible now.
        """
        # A key that was valid a moment ago needs none of the steps below: since there is a key, no caller is anonymous.
        found = None
        if self._key_cache is not None and credential is not None and credential.startswith(PREFIX):
            found = self._key_cache.cached(credential)
        try:
            found = found or await self._find(credential)
        except Unauthorized:
            await self.rate_limits.charge_failure(self._failures.record(has_credential=credential is not None))
            raise
        if record := current.get():
            record.principal = found.name
        return found

    async def _find(self, credential: str | None) -> Principal:
        if credential is not None and self.tokens is not None and credential.startswith(thread_tokens.PREFIX):
            found = await self._by_thread_token(credential, self.tokens)
        elif await self._is_open():
            return ANONYMOUS
        elif credential is None:
            raise Unauthorized(_NO_KEY)
        else:
            found = await self._by_credential(credential)
        if found is None:
            raise invalid_api_key(credential)
        return found

    def on_revocation(self, who: Principal, close: Callable[[], object]) -> AbstractContextManager[None]:
        """Call `close` when the credential of a connected caller expires or is revoked."""
        return Registration(self._connected, (who, close))

    def background_tasks(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """Return the background tasks of the server, by the names that operators see."""
        tasks: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        if self._key_cache is not None:
            tasks |= {"checking_credentials": self._recheck_forever, "noting_key_uses": self._key_cache.write_last_uses}
        if self._jwt_verifier is not None and self._jwt_verifier.has_jwks:
            tasks["fetching_jwks"] = self._jwt_verifier.keep_keys
        return tasks

    async def _recheck_forever(self) -> None:
        """Disconnect callers whose credential has ended; an error must not keep them connected, so it runs again."""
        while True:
            await asyncio.sleep(RECHECK_S)
            await self._recheck()

    async def _recheck(self) -> None:
        now = time.time()
        good = await self._valid_ids({who.key_id for who, _ in self._connected if who.key_id is not None})
        holders = [who for who, _ in self._connected if who.epoch is not None]
        epochs = (
            await self._key_cache.token_statuses.later_epochs(holders)
            if self._key_cache is not None and holders
            else {}
        )
        for who, close in list(self._connected):
            is_over = who.expires_at is not None and who.expires_at <= now
            has_no_key = who.key_id is not None and who.key_id not in good
            epoch = epochs.get(
                (who.reach.project_id, who.reach.thread_id or ""), who.epoch
            )  # missing if the thread was deleted
            if is_over or has_no_key or epoch != who.epoch:
                close()

    def invalidate_tokens(self, project_id: str, thread_id: ThreadId) -> None:
        """Drop the cached tokens of a thread, since they were revoked; other processes notice within a second."""
        if self._key_cache is not None:
            self._key_cache.token_statuses.invalidate(Reach(project_id, thread_id=thread_id))

    async def _valid_ids(self, key_ids: set[str]) -> set[str]:
        good = {ANY_CALLER} if ANY_CALLER in key_ids and await self._is_open() else set[str]()
        made = key_ids - {ANY_CALLER}
        return good | await self._key_cache.valid_ids(made) if self._key_cache is not None and made else good

    async def _is_open(self) -> bool:
        if self._jwt_verifier is not None:
            return False
        return self._key_cache is None or not await self._key_cache.requires_keys()

    async def _by_credential(self, credential: str) -> Principal | None:
        if len(credential) > MAX_CREDENTIAL:
            return None
        if credential.startswith(PREFIX):
            return None if self._key_cache is None else await self._key_cache.find(credential)
        return None if self._jwt_verifier is None else await self._jwt_verifier.verify(credential)

    async def _by_thread_token(self, credential: str, tokens: thread_tokens.ThreadTokens) -> Principal | None:
        found = tokens.read(credential) if len(credential) <= MAX_CREDENTIAL else None
        if found is None:
            return None
        # It is revoked with the key that created it; one created without a key is revoked by the first key.
        is_of_anybody = found.key_id == ANY_CALLER
        if is_of_anybody and not await self._is_open():
            return None
        key_id = None if is_of_anybody else found.key_id
        if self._key_cache is not None and not await self._key_cache.token_statuses.is_valid(found, key_id):
            return None
        return found


def credential_of(headers: Headers) -> str | None:
    """Return the credential of a request: a bearer token, or Azure's `api-key`."""
    return bearer_of(headers.get("authorization") or "") or (headers.get("api-key") or "").strip() or None


def bearer_of(header: str) -> str | None:
    """Parse a bearer token from an `Authorization` header."""
    kind, _, value = header.partition(" ")
    return value.strip() or None if kind.lower() == "bearer" else None


def invalid_api_key(credential: str) -> Unauthorized:
    """Create the error for an invalid credential, with the same text whether it is unknown, expired or revoked.

    Source: rest-contract §5, "bad API key".
    """
    shown = credential[:_MOST_SHOWN]
    if len(shown) > _SHOWN_START + _SHOWN_END:
        stars = "*" * (len(shown) - _SHOWN_START - _SHOWN_END)
        shown = f"{shown[:_SHOWN_START]}{stars}{credential[-_SHOWN_END:]}"
    message = f"Incorrect API key provided: {shown}. You can make one with: gateway keys create"
    return Unauthorized(message, code="invalid_api_key")
