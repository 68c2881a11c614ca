"""End users who come with a token of the operator's own identity provider (JWT).

Source: RFC 7519 (claims), RFC 7517 (JWKS), RFC 8725 (best practice: pinned algorithms, issuer and audience checked).
Must not be here: tokens that we sign ourselves (`thread_tokens`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt

from gateway.domain import check, key, parse
from gateway.domain.principal import ALL_SCOPES, Principal, Reach, Scope
from gateway.errors import InvalidRequest, Unavailable

log: Final = logging.getLogger(__name__)

LEEWAY_S: Final = 30  # clocks differ
FETCH_S: Final = 5.0
REFETCH_S: Final = 10.0  # an unknown key id makes us look again, but strangers cannot make us look all the time
FRESH_S: Final = 300.0
STALE_S: Final = 3_600.0  # how long keys that cannot be fetched again are believed
MAX_JWKS: Final = 1024 * 1024
# A set of public keys never checks a shared-secret signature: a public key is no secret.
_ASYMMETRIC: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_SYMMETRIC: Final = ["HS256", "HS384", "HS512"]
_SCOPE_PREFIX: Final = "threads:"


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose tokens are taken: signed by a key of a set (a URL or file), or with a shared secret."""

    jwks: str
    secret: str
    issuer: str
    audience: str


class EndUsers:
    """Recognises end users by their tokens."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def recognise(self, token: str) -> Principal | None:
        """Find out who comes with a token; None where it is not one that is taken.

        Errors: Unavailable where the keys that it could be checked with cannot be read now.
        """
        try:
            signed_by = self._rules.secret or await self._key_of(jwt.get_unverified_header(token).get("kid"))
            if signed_by is None:
                return None
            claims = jwt.decode(
                token,
                signed_by,
                algorithms=_SYMMETRIC if self._rules.secret else _ASYMMETRIC,
                issuer=self._rules.issuer,
                audience=self._rules.audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            return _principal(claims)
        except (jwt.PyJWTError, InvalidRequest, ValueError, AttributeError):
            return None

    async def _key_of(self, key_id: str | None) -> jwt.PyJWK | None:
        if self._has_to_look(key_id):
            async with self._fetching:
                if self._has_to_look(key_id):  # nobody else has looked meanwhile
                    self._tried_at = time.monotonic()
                    await self._fetch()
        if time.monotonic() - self._fetched_at >= STALE_S:
            raise Unavailable("The keys that tokens are checked with cannot be read now. Please try again.")
        return self._chosen(key_id)

    def _has_to_look(self, key_id: str | None) -> bool:
        now = time.monotonic()
        is_wanting = self._chosen(key_id) is None or now - self._fetched_at >= FRESH_S
        return is_wanting and now - self._tried_at >= REFETCH_S

    def _chosen(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None:  # allowed where there is no choice
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    async def _fetch(self) -> None:
        try:
            keys = _usable(await asyncio.to_thread(_read, self._rules.jwks))
        except (OSError, ValueError, jwt.PyJWTError) as error:
            log.warning("the keys of GATEWAY_JWT_JWKS_URL cannot be read: %s", error)
            return
        self._keys, self._fetched_at = keys, time.monotonic()


def is_url(place: str) -> bool:
    """Say whether keys are to be fetched, and not read from a file."""
    return place.startswith(("https://", "http://"))


def _read(place: str) -> bytes:
    if not is_url(place):
        return Path(place).read_bytes()[:MAX_JWKS]
    with urllib.request.urlopen(place, timeout=FETCH_S) as answer:  # noqa: S310  (`is_url` has seen its scheme)
        body: bytes = answer.read(MAX_JWKS)
        return body


def _usable(body: bytes) -> dict[str, jwt.PyJWK]:
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object with 'keys'")  # noqa: TRY004  (as json itself raises)
    return {each.key_id or "": each for each in jwt.PyJWKSet.from_dict(found).keys if each.key_type != "oct"}


def _principal(claims: dict[str, Any]) -> Principal:
    """Read who the claims speak of.

    `sub` is the end user, `project` its project (`default` without it), and of `scope` the words that begin with
    `threads:` say what it may do; without any such word it may do all.
    Errors: InvalidRequest, ValueError, AttributeError.
    """
    subject = parse.owner(claims["sub"], "sub")
    project = key.project_id(check.a_string(claims.get("project", "default"), "project"))
    said = claims.get("scope", "")  # words with spaces between them; some providers send a list
    words = [check.a_string(word, "scope") for word in said] if isinstance(said, list) else said.split()
    ours = [word.removeprefix(_SCOPE_PREFIX) for word in words if word.startswith(_SCOPE_PREFIX)]
    scopes = frozenset(map(Scope, ours)) if ours else ALL_SCOPES
    return Principal(Reach(project, owner=subject), scopes, f"user:{subject}", None, float(claims["exp"]) + LEEWAY_S)
