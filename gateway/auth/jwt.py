"""Verification of end users' JWTs, which the operator's identity provider signs.

Source: RFC 7519 (claims), RFC 7517 (JWKS), RFC 8725 (best practice: pinned algorithms, issuer and audience checked).
Must not be here: tokens that this server signs (`thread_tokens`).
"""

from __future__ import annotations

import asyncio
import http.client
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
REFETCH_S: Final = 10.0  # minimum time between fetches, since anyone can send an unknown key id
FRESH_S: Final = 300.0
STALE_S: Final = 3_600.0  # how long cached keys are trusted when they cannot be fetched
MAX_JWKS: Final = 1024 * 1024
LATEST: Final = 253_402_300_799  # the last second of the year 9999; later times are capped
# A set of public keys never checks a shared-secret signature: a public key is no secret.
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ASYMMETRIC: Final = (*_RSA, "ES256", "ES384", "ES512", "EdDSA")
_SYMMETRIC: Final = ("HS256", "HS384", "HS512")
MAX_TRIED: Final = 16  # keys of a JWKS that one token is verified with, as each costs a check of its signature
# Claims that hold scopes: RFC 8693 (4.2), Entra ID and Okta, Auth0.
_SCOPE_CLAIMS: Final = ("scope", "scp", "permissions")
_WORDS: Final = {f"threads:{scope.value}": scope for scope in ALL_SCOPES}
_CHUNK: Final = 64 * 1024
NO_KEY: Final = "the JWKS of GATEWAY_JWT_JWKS_URL has no public key for signatures (RSA, EC or Ed25519)."


@dataclass(frozen=True, slots=True)
class JwtRules:
    """Which tokens are accepted: signed by a key of a JWKS (URL or file), or with the current or old shared secret.

    With `require_scopes`, a token without a scope claim has no scopes; otherwise it has all.
    """

    jwks: str
    secret: str = field(repr=False)
    issuer: str
    audience: str
    old_secret: str = field(default="", repr=False)
    require_scopes: bool = False


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key of a JWKS, or a shared secret, and the only algorithms that it verifies."""

    value: Any = field(repr=False)
    algorithms: tuple[str, ...]
    key_id: str | None = None


class JwtVerifier:
    """Verifies end users' tokens."""

    def __init__(self, rules: JwtRules) -> None:
        self._rules = rules
        self.has_jwks = bool(rules.jwks)
        self._secrets = [VerificationKey(each, _SYMMETRIC) for each in (rules.secret, rules.old_secret) if each]
        self._keys: list[VerificationKey] = []
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def verify(self, token: str) -> Principal | None:
        """Return the principal of a token; None if the token is not valid.

        Errors: Unavailable if the signing keys cannot be read.
        """
        try:
            return self._principal(self._claims(token, await self._keys_for(token)))
        except (jwt.PyJWTError, InvalidRequest, ValueError):
            return None

    async def keep_keys(self) -> None:
        """Fetch the signing keys at the start, and as often as they may be old, so that a fault is logged at once."""
        while True:
            await self._refresh(None)
            await asyncio.sleep(FRESH_S)

    async def _keys_for(self, token: str) -> list[VerificationKey]:
        """Return the keys to verify a token with: never a public key as if it were a secret."""
        if self._secrets:
            return self._secrets
        header = jwt.get_unverified_header(token)
        found = await self._keys_of(header.get("kid"))
        return [each for each in found if header.get("alg") in each.algorithms][:MAX_TRIED]

    def _claims(self, token: str, keys: Sequence[VerificationKey]) -> dict[str, Any]:
        """Verify a token and return its claims.

        Errors: PyJWTError.
        """
        for key in keys:
            with suppress(jwt.InvalidSignatureError):
                return jwt.decode(
                    token,
                    key.value,
                    algorithms=key.algorithms,
                    issuer=self._rules.issuer,
                    audience=self._rules.audience,
                    leeway=LEEWAY_S,
                    options={"require": ["exp", "iss", "aud", "sub"]},
                )
        raise jwt.InvalidSignatureError

    def _principal(self, claims: dict[str, Any]) -> Principal:
        """Convert claims to a principal: `sub` is the end user, `project` its project (by default `default`).

        Errors: InvalidRequest; ValueError.
        """
        subject = parse.end_user(claims["sub"], "sub")
        project = api_key.project_id(validate.a_string(claims.get("project", "default"), "project"))
        scopes = _scopes(claims, is_needed=self._rules.require_scopes)
        return Principal(
            Reach(project, owner=subject),
            scopes,
            f"user:{subject}",
            None,
            _end(claims["exp"]),
            identity=f"user:{subject}",
        )

    async def _keys_of(self, key_id: str | None) -> list[VerificationKey]:
        await self._refresh(key_id)
        if time.monotonic() - self._fetched_at >= STALE_S:
            raise Unavailable(
                "The signing keys (JWKS) are unavailable, so the token cannot be verified. Please try again later."
            )
        return self._chosen(key_id)

    async def _refresh(self, key_id: str | None) -> None:
        if self._must_fetch(key_id):
            async with self._fetching:
                if self._must_fetch(key_id):  # no other task has fetched meanwhile
                    self._tried_at = time.monotonic()
                    await self._fetch()

    def _must_fetch(self, key_id: str | None) -> bool:
        now = time.monotonic()
        is_stale = not self._chosen(key_id) or now - self._fetched_at >= FRESH_S
        return is_stale and now - self._tried_at >= REFETCH_S

    def _chosen(self, key_id: str | None) -> list[VerificationKey]:
        """Return the keys that a token may be signed with: all if it names none, or if no key has an id.

        Source: RFC 7517, 4.5: `kid` is optional, and keys of different types may share one.
        """
        if key_id is None or all(each.key_id is None for each in self._keys):
            return self._keys
        return [each for each in self._keys if each.key_id == key_id]

    async def _fetch(self) -> None:
        try:
            # `_read` checks the time too, but not during DNS look-ups or while headers arrive.
            async with asyncio.timeout(2 * FETCH_S):
                keys = await asyncio.to_thread(fetch_keys, self._rules.jwks)
        except (OSError, ValueError) as error:
            log.warning("the signing keys of GATEWAY_JWT_JWKS_URL cannot be read: %s", error)
            return
        if not keys:
            log.warning("no token is accepted: %s", NO_KEY)
        self._keys, self._fetched_at = keys, time.monotonic()


def is_url(place: str) -> bool:
    """Check whether a place is a URL, not a file."""
    return place.startswith(("https://", "http://"))


def fetch_keys(place: str) -> list[VerificationKey]:
    """Read the public keys of a JWKS that can verify a signature.

    Errors: OSError, also if the response is not HTTP or ends early; ValueError if it is not a JWKS.
    """
    try:
        return _usable(_read(place))
    except http.client.HTTPException as error:  # urllib passes these on as they are
        raise OSError(f"invalid HTTP response: {error!r}") from error
    except RecursionError as error:
        raise ValueError("expected JSON of fewer levels") from error


def _read(place: str) -> bytes:
    """Read a JWKS document.

    Errors: OSError, also if it arrives too slowly; ValueError if it is too large.
    """
    end = time.monotonic() + FETCH_S
    found = bytearray()
    with _opened(place) as document:
        while piece := document.read1(_CHUNK):  # returns what has arrived, so that the time is checked
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


def _usable(body: bytes) -> list[VerificationKey]:
    """Parse the public keys of a JWKS; it may be empty, and then no token is valid.

    Errors: ValueError if it is not a JWKS.
    """
    found = json.loads(body)
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("expected a JSON object with a list of 'keys'")  # noqa: TRY004  (as json itself raises)
    usable: list[VerificationKey] = []
    for each in listed:
        with suppress(jwt.PyJWTError, ValueError, TypeError, AttributeError):  # unknown kinds of keys are skipped
            if _is_for_signatures(each):
                usable.append(_verification_key(each))
    return usable


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    """Check `use` and `key_ops`, which are optional (RFC 7517, 4.2 and 4.3)."""
    operations = jwk.get("key_ops")
    may_verify = operations is None or (isinstance(operations, list) and "verify" in operations)
    return may_verify and jwk.get("use") in (None, "sig")


def _verification_key(jwk: Mapping[str, Any]) -> VerificationKey:
    """Parse a key; without `alg` it verifies each algorithm of its type (RSA) or its curve.

    Errors: PyJWTError, ValueError, TypeError if it is not a public key of a known kind.
    """
    made = jwt.PyJWK.from_dict({name: value for name, value in jwk.items() if name != "d"})  # never the private part
    if made.algorithm_name not in _ASYMMETRIC:
        raise ValueError("expected a public key")
    value = made.Algorithm.prepare_key(made.key)  # checks that the curve fits `alg`
    is_any = made.key_type == "RSA" and not jwk.get("alg")
    return VerificationKey(value, _RSA if is_any else (made.algorithm_name,), jwk.get("kid"))


def _scopes(claims: Mapping[str, Any], *, is_needed: bool) -> frozenset[Scope]:
    """Collect the scopes of the claims: strings of words separated by spaces, or lists of words.

    Unknown words are ignored. A claim without any known word grants nothing: it may hold a misspelled scope.
    """
    given = [claims[name] for name in _SCOPE_CLAIMS if name in claims]
    if not given and not is_needed:
        return ALL_SCOPES
    words = [each.split() if isinstance(each, str) else each for each in given]
    listed = [word for each in words if isinstance(each, list) for word in each if isinstance(word, str)]
    return frozenset(_WORDS[word] for word in listed if word in _WORDS)


def _end(claimed: object) -> float:
    """Return when a token expires; `exp` may be a number of any size.

    Errors: ValueError. Source: RFC 7519, 2, "NumericDate": a JSON number.
    """
    if isinstance(claimed, bool) or not isinstance(claimed, int | float):
        raise ValueError("expected a number")  # noqa: TRY004  (as PyJWT takes a text for one)
    return float(min(claimed, LATEST)) + LEEWAY_S
