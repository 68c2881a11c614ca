"""Claims signed by a secret of this server: JWTs of HS256, and of nothing else.

The library that verifies other JWTs loads 60 modules of cryptography, 9 MB in each process, which one HMAC does not
need. No header is parsed: all tokens have the same one.
Must not be here: what the claims mean (`thread_tokens`), tokens of others (`jwt`).
Source: RFC 7515, sections 3.1 and 5; RFC 7518, section 3.2.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """Write claims with their signature."""
    said = f"{_HEADER}.{_encoded(_json(claims))}"
    return f"{said}.{_signature(said, secret)}"


def verified(token: str, secrets: Sequence[str]) -> dict[str, Any] | None:
    """Read claims that were signed with one of these secrets; None if they were not."""
    said, _, signature = token.rpartition(".")
    header, _, payload = said.partition(".")
    if header != _HEADER or not token.isascii():
        return None
    if not any(hmac.compare_digest(_signature(said, each), signature) for each in secrets):
        return None
    try:
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _signature(said: str, secret: str) -> str:
    return _encoded(hmac.digest(secret.encode(), said.encode(), "sha256"))


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_HEADER: Final = _encoded(_json({"alg": "HS256", "typ": "JWT"}))
