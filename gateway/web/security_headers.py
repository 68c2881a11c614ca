"""The security and CORS headers of every response, errors included.

Must not be here: which origins are allowed (`origins`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.web.origins import OriginPolicy
    from gateway.web.request import Headers

    Header = tuple[bytes, bytes]

_ALWAYS: Final = b"x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
# For everything but HTML pages, which set their own. A browser that displays a response loads and runs nothing, and
# shared caches store nothing: they respect `Authorization`, but do not know `api-key`.
_OF_DATA: Final = {
    b"content-security-policy": b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n",
    b"cache-control": b"cache-control: no-store\r\n",
}
_ALL: Final = _ALWAYS + b"".join(_OF_DATA.values())
_TLS: Final = b"strict-transport-security: max-age=31536000\r\n"
_COUNTED: Final = (b"limit", b"remaining", b"reset")
_EXPOSED: Final = (
    b"access-control-expose-headers: "
    b"x-request-id, openai-version, openai-processing-ms, retry-after, retry-after-ms, x-should-retry, "
    b"idempotent-replayed, "
    + b", ".join(b"x-ratelimit-%b-%b" % (what, of) for what in _COUNTED for of in (b"requests", b"tokens"))
    + b"\r\n"
)


def security_headers(written: Sequence[Header], scheme: str, headers: Headers, policy: OriginPolicy) -> bytes:
    """Return the lines of the headers that a response with these own headers still needs."""
    lines = _ALL
    if written:
        names = {name for name, _ in written}
        lines = b"".join((_ALWAYS, *(line for name, line in _OF_DATA.items() if name not in names)))
    if scheme in ("https", "wss"):
        lines += _TLS
    return lines + _of_origin(headers.get("origin"), policy) if policy.origins else lines


def _of_origin(origin: str | None, policy: OriginPolicy) -> bytes:
    lines = b"vary: origin\r\n"
    if origin is not None and origin in policy.origins:
        lines += b"access-control-allow-origin: %b\r\n" % origin.encode("latin-1") + _EXPOSED
        if policy.with_credentials:
            lines += b"access-control-allow-credentials: true\r\n"
    return lines
