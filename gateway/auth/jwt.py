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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jwt

from gateway.domain import api_key, parse, validate
from gateway.domain.principal import ALL_SCOPES, Principal, Reach, Scope
from gateway.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from http.client import HTTPResponse
    from io import BufferedReader

log: Final = logging.getLogger(__name__)

LEEWAY_S: Final = 30  # clocks differ
FETCH_S: Final = 5.0
REFETCH_S: Final = 10.0  # an unknown key id makes us look again, but strangers cannot make us look all the time
FRESH_S: Final = 300.0
STALE_S: Final = 3_600.0  # how long keys that cannot be fetched again are believed
MAX_JWKS: Final = 1024 * 1024
LATEST: Final = 253_402_300_799  # the last second of the year 9999: what ends later need not be told apart
# A set of public keys never checks a shared-secret signature: a public key is no secret.
_ASYMMETRIC: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_SYMMETRIC: Final = ["HS256", "HS384", "HS512"]
# Where identity providers put what a token allows: RFC 8693 (4.2), Entra ID and Okta, Auth0.
_SCOPE_CLAIMS: Final = ("scope", "scp", "permissions")
_WORDS: Final = {f"threads:{scope.value}": scope for scope in ALL_SCOPES}
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class JwtRules:
    """Whose tokens are taken: signed by a key of a set (a URL or file), or with a shared secret or the one before it.

    Where scopes are required, a token that says nothing of them allows nothing; else it allows all.
    """

    jwks: str
    secret: str = field(repr=False)
    issuer: str
    audience: str
    old_secret: str = field(default="", repr=False)
    require_scopes: bool = False


class JwtVerifier:
    """Recognises end users by their tokens."""

    def __init__(self, rules: JwtRules) -> None:
        self._rules = rules
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def verify(self, token: str) -> Principal | None:
        """Find out who comes with a token; None where it is not one that is taken.

        Errors: Unavailable where the keys that it could be checked with cannot be read now.
        """
        try:
            return self._principal(self._claims(token, await self._keys_for(token)))
        except (jwt.PyJWTError, InvalidRequest, ValueError):
            return None

    async def _keys_for(self, token: str) -> list[str | jwt.PyJWK]:
        """Find what the signature of a token may be checked with: never a public key as if it were a secret."""
        if self._rules.secret:
            return [each for each in (self._rules.secret, self._rules.old_secret) if each]
        found = await self._key_of(jwt.get_unverified_header(token).get("kid"))
        return [] if found is None else [found]

    def _claims(self, token: str, signed_by: Sequence[str | jwt.PyJWK]) -> dict[str, Any]:
        """Check a token and read its claims.

        Errors: PyJWTError.
        """
        for secret in signed_by:
            with suppress(jwt.InvalidSignatureError):
                return jwt.decode(
                    token,
                    secret,
                    algorithms=_SYMMETRIC if self._rules.secret else _ASYMMETRIC,
                    issuer=self._rules.issuer,
                    audience=self._rules.audience,
                    leeway=LEEWAY_S,
                    options={"require": ["exp", "iss", "aud", "sub"]},
                )
        raise jwt.InvalidSignatureError

    def _principal(self, claims: dict[str, Any]) -> Principal:
        """Read who the claims speak of: `sub` is the end user, `project` its project (`default` without it).

        Errors: InvalidRequest; ValueError.
        """
        subject = parse.owner(claims["sub"], "sub")
        if subject is None:  # who has no name would own nothing, and so reach all
            raise ValueError("expected the name of an end user")
        project = api_key.project_id(validate.a_string(claims.get("project", "default"), "project"))
        scopes = _scopes(claims, is_needed=self._rules.require_scopes)
        return Principal(Reach(project, owner=subject), scopes, f"user:{subject}", None, _end(claims["exp"]))

    async def _key_of(self, key_id: str | None) -> jwt.PyJWK | None:
        if self._has_to_look(key_id):
            async with self._fetching:
                if self._has_to_look(key_id):  # nobody else has looked meanwhile
                    self._tried_at = time.monotonic()
                    await self._fetch()
        if time.monotonic() - self._fetched_at >= STALE_S:
            raise Unavailable(
                "The signing keys (JWKS) are unavailable, so the token cannot be verified. Please try again later."
            )
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
            # `_read` looks at the clock too, but not while an address is looked up or headers come.
            keys = await asyncio.wait_for(asyncio.to_thread(_fetched, self._rules.jwks), 2 * FETCH_S)
        except (OSError, ValueError) as error:
            log.warning("the signing keys of GATEWAY_JWT_JWKS_URL cannot be read: %s", error)
            return
        self._keys, self._fetched_at = keys, time.monotonic()


def is_url(place: str) -> bool:
    """Say whether keys are to be fetched, and not read from a file."""
    return place.startswith(("https://", "http://"))


def _fetched(place: str) -> dict[str, jwt.PyJWK]:
    return _usable(_read(place))


def _read(place: str) -> bytes:
    """Read the document with the keys.

    Errors: OSError, also where it comes too slowly; ValueError where it is too large.
    """
    end = time.monotonic() + FETCH_S
    found = bytearray()
    with _opened(place) as document:
        while piece := document.read1(_CHUNK):  # what has come, so that the clock is looked at again
            found += piece
            if len(found) > MAX_JWKS:
                raise ValueError(f"expected at most {MAX_JWKS} bytes")
            if time.monotonic() > end:
                raise TimeoutError(f"it took longer than {FETCH_S:g} seconds")
    return bytes(found)


def _opened(place: str) -> HTTPResponse | BufferedReader:
    if not is_url(place):
        return Path(place).open("rb")
    answer: HTTPResponse = urllib.request.urlopen(place, timeout=FETCH_S)  # noqa: S310  (`is_url` has seen its scheme)
    return answer


def _usable(body: bytes) -> dict[str, jwt.PyJWK]:
    """Read the public keys of a set; it may have none any more, and then nobody is recognised.

    Errors: ValueError where it is no set of keys.
    """
    found = json.loads(body)
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("expected a JSON object with a list of 'keys'")  # noqa: TRY004  (as json itself raises)
    usable: dict[str, jwt.PyJWK] = {}
    for each in listed:
        with suppress(jwt.PyJWTError, ValueError, TypeError, AttributeError):  # one of a later kind spoils no others
            made = jwt.PyJWK.from_dict(each)
            if made.algorithm_name in _ASYMMETRIC and made.public_key_use in (None, "sig"):
                usable[made.key_id or ""] = made
    return usable


def _scopes(claims: Mapping[str, Any], *, is_needed: bool) -> frozenset[Scope]:
    """Unite what the claims allow: texts of words with spaces between them, or lists of words.

    Words of others are theirs. Where a claim is there and has no word of ours, nothing is allowed: it may be one of
    ours with a typing error.
    """
    told = [claims[name] for name in _SCOPE_CLAIMS if name in claims]
    if not told and not is_needed:
        return ALL_SCOPES
    words = [each.split() if isinstance(each, str) else each for each in told]
    listed = [word for each in words if isinstance(each, list) for word in each if isinstance(word, str)]
    return frozenset(_WORDS[word] for word in listed if word in _WORDS)


def _end(claimed: object) -> float:
    """Read when a token ends; it has not ended yet, but may be a number of any size.

    Errors: ValueError. Source: RFC 7519, 2, "NumericDate": a JSON number.
    """
    if isinstance(claimed, bool) or not isinstance(claimed, int | float):
        raise ValueError("expected a number")  # noqa: TRY004  (as PyJWT takes a text for one)
    return float(min(claimed, LATEST)) + LEEWAY_S
