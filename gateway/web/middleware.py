"""The outermost layer: what every answer carries, what is answered when all else failed, and the facts of each request.

Must not be here: routes, what a face answers.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote

from starlette.requests import ClientDisconnect

from gateway.errors import GatewayError, UnknownUrl, excerpt
from gateway.observability.record import SCOPE, Facts, current, follow_none, tell_nobody
from gateway.web.check_origin import pass_door
from gateway.web.origins import Sites
from gateway.web.request import ENCODED_SLASH, Answer, Headers, Request, shown_path
from gateway.web.security_headers import safe_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.observability.record import Follow, Tell

    # A face answers whole, or gives what sends the answer itself, piece by piece; None for a path that it does not have
    Face = Callable[[Request], Awaitable[Answer | ASGIApp] | None]

log: Final = logging.getLogger(__name__)

_NO_HEADERS: Final = Headers([])
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HELD: Final = 256 * 1024  # bytes of an answer that are not held twice for one client
_WENT_AWAY: Final = 499  # nginx's word for a client that did not wait for its answer
_CUT_OFF: Final = 1006  # RFC 6455, 7.1.5: closed without a close frame
_STARTS: Final = ("http.response.start", "websocket.http.response.start")
_VERSION: Final = (b"openai-version", b"2020-10-01")


class Envelope:
    """Give each request an id, its answer the wire's headers, each crash an answer of ours, and tell how it went.

    What a face has at its path is asked first, and the application's other routes for all the rest: a page of
    messages is too quick to look through a table of patterns for it. So is what serves WebSockets at a path, since
    all that stands between is held for as long as one is open.
    Source: rest-contract §6 (headers); §4 "check order" (doubled slashes count as one).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        face: Face = lambda _request: None,
        refuse: Callable[[str, GatewayError], Answer],
        crashed: Callable[[], Answer],
        sites: Sites | None = None,
        tell: Tell = tell_nobody,
        follow: Follow = follow_none,
        sockets: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        self.app = app
        self._sockets = sockets or {}
        self._face = face
        self._refuse = refuse
        self._crashed = crashed
        self._sites = sites or Sites()
        self._tell = tell
        self._follow = follow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and dress its answer."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        facts = _facts_of(scope)
        inner = {**scope, SCOPE: facts, "path": plain_path(scope["path"], scope.get("raw_path") or b"")}
        current.set(facts)
        serve = self._request if scope["type"] == "http" else self._connection
        with self._follow(facts, inner):
            try:
                await serve(inner, facts, receive, send)
            finally:
                if "route" in inner:
                    facts.route = inner["route"].path
                facts.end()
                self._tell(facts)

    async def _request(self, scope: Scope, facts: Facts, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, facts, scope["path"], Headers(scope["headers"]), scope["method"])
        try:
            answer = await self._answer(request)
            if not isinstance(answer, Answer):
                scope["path"] = shown_path(scope["path"])  # nothing that answers so has an id in its path
                await answer(scope, receive, self._dressed(request, send))
                return
        except ClientDisconnect:
            facts.status = _WENT_AWAY
            return
        except Exception:
            log.exception("%s: %s %s failed", facts.request_id, scope["method"], shown_path(scope["path"]))
            if facts.status:
                raise
            answer = self._crashed()
        await self._send(answer, request, send)

    async def _answer(self, request: Request) -> Answer | ASGIApp:
        try:
            agreed = pass_door(request.scope, request.headers, self._sites)
        except GatewayError as error:
            return self._refuse(request.path, error)
        if agreed is not None:
            return agreed
        answering = self._face(request)
        return self.app if answering is None else await answering

    async def _send(self, answer: Answer, request: Request, send: Send) -> None:
        body, status, media_type, headers = answer
        facts = request.facts
        facts.status = status
        facts.bytes_out = len(body)
        own = [(b"content-length", b"%d" % len(body)), (b"content-type", media_type), *headers]
        if status == 204:  # noqa: PLR2004  (RFC 9110: such an answer has no length, as it has no content)
            own = [*headers]
        dressed = [*own, *self._dress(request, headers)]
        await send({"type": "http.response.start", "status": status, "headers": dressed})
        if len(body) < _HELD:
            await send({"type": "http.response.body", "body": body})
            return
        # The next request of a client that sends several at once is answered only when this has gone: the server waits
        # for that in front of the piece that ends an answer, and holds one answer for each connection.
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    def _dressed(self, request: Request, send: Send) -> Send:
        facts = request.facts

        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                facts.status = message["status"]
                written = list(message.get("headers", ()))
                message["headers"] = [*written, *self._dress(request, written)]
            else:
                facts.bytes_out += len(message.get("body", b""))
            await send(message)

        return send_dressed

    def _dress(self, request: Request, written: Any) -> list[tuple[bytes, bytes]]:
        facts = request.facts
        facts.end()
        return [
            (b"x-request-id", facts.request_id.encode()),
            _VERSION,
            (b"openai-processing-ms", b"%d" % (facts.seconds * 1000)),
            *(_allowance(facts) if facts.allowance else ()),
            *safe_headers(written, request.scope, request.headers, self._sites),
        ]

    async def _connection(self, scope: Scope, facts: Facts, receive: Receive, send: Send) -> None:
        facts.status = _CUT_OFF
        headers = Headers(scope["headers"])

        async def receive_seen() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                facts.status = message.get("code") or _CUT_OFF
            return message

        async def send_seen(message: Message) -> None:
            nonlocal headers
            if message["type"] in _STARTS:
                written = list(message.get("headers", ()))
                own = [(b"x-request-id", facts.request_id.encode()), _VERSION]
                message["headers"] = [*written, *own, *safe_headers(written, scope, headers, self._sites)]
            if message["type"] == "websocket.accept":
                headers = _NO_HEADERS  # of an open WebSocket they are needed no more
            if message["type"] == "websocket.close":
                facts.status = message.get("code") or facts.status
            else:
                facts.bytes_out += len(message.get("text") or message.get("bytes") or b"")
            await send(message)

        try:
            pass_door(scope, headers, self._sites)
            found = self._socket_at(scope["path"], facts)
        except GatewayError as error:
            await _deny(self._refuse(scope["path"], error), send_seen)
            return
        await found(scope, receive_seen, send_seen)

    def _socket_at(self, path: str, facts: Facts) -> ASGIApp:
        found = self._sockets.get(path)
        if found is None:
            raise UnknownUrl(f"Invalid URL (GET {excerpt(shown_path(path))}): no WebSocket is served here.")
        facts.route = path
        return found


def dress_early(sites: Sites, tell: Tell) -> Callable[[int, str, list[tuple[bytes, bytes]], int], list[Any]]:
    """Give what dresses a refusal that is written before there is a request, and tells of it as of any other.

    It takes the status, the scheme, those headers that were read, and the length of the body.
    """

    def dress(status: int, scheme: str, headers: list[tuple[bytes, bytes]], length: int) -> list[Any]:
        facts = _facts_of({"type": "http", "method": ""})
        facts.status, facts.bytes_out = status, length
        facts.end()
        tell(facts)
        own = [(b"x-request-id", facts.request_id.encode()), _VERSION]
        return [*own, *safe_headers((), {"scheme": scheme}, Headers(headers), sites)]

    return dress


async def _deny(answer: Answer, send: Send) -> None:
    """Answer a WebSocket's handshake with a refusal. Source: ASGI, "WebSocket Denial Response"."""
    headers = [
        (b"content-length", b"%d" % len(answer.body)),
        (b"content-type", answer.media_type),
        *answer.headers,
    ]
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})


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
    facts = Facts(kind, f"req_{os.urandom(16).hex()}", method if method in _METHODS else "OTHER")
    if client := scope.get("client"):
        facts.address = client[0]
    return facts


def plain_path(path: str, raw: bytes = b"") -> str:
    """Write a path without doubled slashes and without one at its end, as clients with an empty id send it.

    A slash that was sent encoded (`raw` is the path as it was sent) is part of a segment, and ENCODED_SLASH stands
    for it. Source: RFC 3986, 2.2 and 3.3.
    """
    if b"%2" in raw and b"%2f" in raw.lower():
        path = "/".join(unquote(part).replace("/", ENCODED_SLASH) for part in raw.decode("latin-1").split("/"))
    if path[-1:] != "/" and "//" not in path:
        return path or "/"
    return "/" + "/".join(part for part in path.split("/") if part)
