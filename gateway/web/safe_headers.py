"""What every answer tells a browser about itself: how it may be used, and which pages may read it.

This is the outermost layer, so that a crash and a refusal tell it too.
Must not be here: what is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.web.sites import Sites

_ALWAYS: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
# For all but the pages, which bring their own. A browser that shows an answer loads and runs nothing for it; and it is
# kept for nobody else: caches know that of what was asked with `Authorization`, but not with `api-key`.
_OF_DATA: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_TLS: Final = (b"strict-transport-security", b"max-age=31536000")
_COUNTED: Final = (b"limit", b"remaining", b"reset")
_EXPOSED: Final = (
    b"access-control-expose-headers",
    b"x-request-id, openai-version, openai-processing-ms, retry-after, retry-after-ms, x-should-retry, "
    + b", ".join(b"x-ratelimit-%b-%b" % (what, of) for what in _COUNTED for of in (b"requests", b"tokens")),
)
_STARTS: Final = ("http.response.start", "websocket.http.response.start")


class SafeHeaders:
    """Write the headers."""

    def __init__(self, app: ASGIApp, sites: Sites) -> None:
        self._app = app
        self._sites = sites

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and dress its answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_safe(message: Message) -> None:
            if message["type"] in _STARTS:
                written = list(message.get("headers", ()))
                names = {name for name, _ in written}
                of_data = [each for each in _OF_DATA if each[0] not in names]
                message["headers"] = [*written, *_ALWAYS, *of_data, *self._of_request(scope)]
            await send(message)

        await self._app(scope, receive, send_safe)

    def _of_request(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        found = [_TLS] if scope["scheme"] in ("https", "wss") else []
        if not self._sites.origins:
            return found
        found.append((b"vary", b"origin"))
        origin = Headers(scope=scope).get("origin")
        if origin in self._sites.origins:
            found += [(b"access-control-allow-origin", origin.encode("latin-1")), _EXPOSED]
            if self._sites.with_credentials:
                found.append((b"access-control-allow-credentials", b"true"))
        return found
