"""The outermost layer: what every answer carries, what is answered when all else failed, and the facts of each request.

Must not be here: routes, faces.
"""

from __future__ import annotations

import logging
import re
import secrets
from typing import TYPE_CHECKING, Final, Literal

from starlette.requests import ClientDisconnect

from gateway.facts import SCOPE, Facts, current, follow_none, tell_nobody

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.facts import Follow, Tell

log: Final = logging.getLogger(__name__)

_SLASHES: Final = re.compile("/{2,}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WENT_AWAY: Final = 499  # nginx's word for a client that did not wait for its answer
_CUT_OFF: Final = 1006  # RFC 6455, 7.1.5: closed without a close frame


class Envelope:
    """Give each request an id, its answer the wire's headers, each crash an answer of ours, and tell how it went.

    Source: rest-contract §6 (headers); §4 "check order" (doubled slashes count as one).
    """

    def __init__(
        self,
        app: ASGIApp,
        crashed: Callable[[Scope], Response],
        tell: Tell = tell_nobody,
        follow: Follow = follow_none,
    ) -> None:
        self._app = app
        self._crashed = crashed
        self._tell = tell
        self._follow = follow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and dress its answer."""
        serve = {"http": self._request, "websocket": self._connection}.get(scope["type"])
        if serve is None:
            await self._app(scope, receive, send)
            return
        facts = _facts_of(scope)
        inner = {**scope, SCOPE: facts, "path": plain_path(scope["path"])}
        current.set(facts)
        with self._follow(facts, inner):
            try:
                await serve(inner, facts, receive, send)
            finally:
                if "route" in inner:
                    facts.route = inner["route"].path
                facts.end()
                self._tell(facts)

    async def _request(self, scope: Scope, facts: Facts, receive: Receive, send: Send) -> None:
        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                facts.end()
                facts.status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", facts.request_id.encode()),
                    (b"openai-version", b"2020-10-01"),
                    (b"openai-processing-ms", str(int(facts.seconds * 1000)).encode()),
                    *_allowance(facts),
                ]
            else:
                facts.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_dressed)
        except ClientDisconnect:
            facts.status = _WENT_AWAY
        except Exception:
            log.exception("%s: %s %s failed", facts.request_id, scope["method"], scope["path"])
            if facts.status:
                raise
            await self._crashed(scope)(scope, receive, send_dressed)

    async def _connection(self, scope: Scope, facts: Facts, receive: Receive, send: Send) -> None:
        facts.status = _CUT_OFF

        async def receive_seen() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                facts.status = message.get("code") or _CUT_OFF
            return message

        async def send_seen(message: Message) -> None:
            if message["type"] == "websocket.close":
                facts.status = message.get("code") or facts.status
            else:
                facts.bytes_out += len(message.get("text") or message.get("bytes") or b"")
            await send(message)

        await self._app(scope, receive_seen, send_seen)


def _allowance(facts: Facts) -> list[tuple[bytes, bytes]]:
    if facts.allowance is None:
        return []
    left = facts.allowance
    return [
        (b"x-ratelimit-limit-requests", b"%d" % left.limit),
        (b"x-ratelimit-remaining-requests", b"%d" % left.remaining),
        (b"x-ratelimit-reset-requests", b"%ds" % left.reset_s),
    ]


def _facts_of(scope: Scope) -> Facts:
    # A method is whatever a client makes up; in a log and as a label only those that somebody serves are of use.
    method = scope.get("method", "GET")
    kind: Literal["request", "connection"] = "request" if scope["type"] == "http" else "connection"
    return Facts(kind, f"req_{secrets.token_hex(16)}", method if method in _METHODS else "OTHER")


def plain_path(path: str) -> str:
    """Write a path without doubled slashes and without one at its end, as clients with an empty id send it."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"
