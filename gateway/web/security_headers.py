"""The security and CORS headers of every response, errors included.

Must not be here: which origins are allowed (`origins`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Scope

    from gateway.web.origins import OriginPolicy
    from gateway.web.request import HeadersLike

    Header = tuple[bytes, bytes]

_ALWAYS: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
# For everything but HTML pages, which set their own. A browser that displays a response loads and runs nothing, and
# shared caches store nothing: they respect `Authorization`, but do not know `api-key`.
_OF_DATA: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_ALL: Final = (*_ALWAYS, *_OF_DATA)
_TLS: Final = (b"strict-transport-security", b"max-age=31536000")
_COUNTED: Final = (b"limit", b"remaining", b"reset")
_EXPOSED: Final = (
    b"access-control-expose-headers",
    b"x-request-id, openai-version, openai-processing-ms, retry-after, retry-after-ms, x-should-retry, "
    + b", ".join(b"x-ratelimit-%b-%b" % (what, of) for what in _COUNTED for of in (b"requests", b"tokens")),
)


def security_headers(
    written: Sequence[Header], scope: Scope, headers: HeadersLike, policy: OriginPolicy
) -> Sequence[Header]:
    """Return the headers that a response with these own headers still needs."""
    safe: Sequence[Header] = _ALL
    if written:
        names = {name for name, _ in written}
        safe = (*_ALWAYS, *(each for each in _OF_DATA if each[0] not in names))
    if scope["scheme"] in ("https", "wss"):
        safe = (*safe, _TLS)
    return (*safe, *_of_origin(headers.get("origin"), policy)) if policy.origins else safe


def _of_origin(origin: str | None, policy: OriginPolicy) -> list[Header]:
    found = [(b"vary", b"origin")]
    if origin is not None and origin in policy.origins:
        found += [(b"access-control-allow-origin", origin.encode("latin-1")), _EXPOSED]
        if policy.with_credentials:
            found.append((b"access-control-allow-credentials", b"true"))
    return found
