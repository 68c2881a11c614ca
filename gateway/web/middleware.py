"""The outermost layer: the headers of every response, the response to a crash, and the record of each request.

Must not be here: routes; responses of a face.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote

from starlette.requests import ClientDisconnect

from gateway.errors import GatewayError, UnknownUrl, excerpt
from gateway.observability.record import SCOPE, RequestRecord, current
from gateway.web.check_origin import check_origin
from gateway.web.request import (
    ENCODED_SLASH,
    RESPOND,
    Answer,
    Headers,
    Request,
    as_pairs,
    display_path,
    header_lines,
)
from gateway.web.security_headers import security_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.observability.record import Allowance, Observer, Tracer
    from gateway.web.origins import OriginPolicy

    # Finds what answers a request, with a response or an ASGI app that streams it; None for an unknown path
    Find = Callable[[Request], Awaitable[Answer | ASGIApp] | None]

log: Final = logging.getLogger(__name__)

_NO_HEADERS: Final = Headers([])
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WENT_AWAY: Final = 499  # as in nginx: the client closed the request
_CUT_OFF: Final = 1006  # RFC 6455, 7.1.5: closed without a close frame
_STARTS: Final = ("http.response.start", "websocket.http.response.start")
_NO_CONTENT: Final = 204
_PERCENT: Final = ord("%")  # to look for bytes within bytes takes an exception within Python


class RequestMiddleware:
    """Add request IDs and response headers, turn crashes into responses, and report each request to the observer.

    WebSockets are served directly, since each layer would keep memory while one is open.
    Source: rest-contract §6 (headers); §4 "check order" (doubled slashes count as one).
    """

    def __init__(
        self,
        find: Find,
        *,
        refuse: Callable[[str, GatewayError], Answer],
        crashed: Callable[[], Answer],
        lifespan: ASGIApp,
        origin_policy: OriginPolicy,
        observer: Observer,
        tracer: Tracer,
        sockets: Mapping[str, ASGIApp],
    ) -> None:
        self._find = find
        self._refuse = refuse
        self._crashed = crashed
        self._lifespan = lifespan
        self._origin_policy = origin_policy
        self._observer = observer
        self._tracer = tracer
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, a WebSocket or the lifespan of the application."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        record = _new_record(scope)
        # A copy: of a WebSocket's own scope the server reads more, which `_release` in its transport drops.
        inner = {**scope, SCOPE: record, "path": normalize_path(scope["path"], scope.get("raw_path") or b"")}
        current.set(record)
        serve = self._request if scope["type"] == "http" else self._connection
        with self._tracer(record, inner):
            try:
                await serve(inner, record, receive, send)
            finally:
                record.end()
                self._observer(record)

    async def _request(self, scope: Scope, record: RequestRecord, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, record, scope["path"], Headers(scope["headers"]), scope["method"])
        try:
            try:
                agreed = check_origin(scope, request.headers, self._origin_policy)
                answer = await self._begin(request) if agreed is None else agreed
            except GatewayError as error:
                answer = self._refuse(request.path, error)
            if not isinstance(answer, Answer):
                await answer(scope, receive, self._dressed(request, send))
                return
        except ClientDisconnect:
            record.status = _WENT_AWAY
            return
        except Exception:
            log.exception("%s: %s %s failed", record.request_id, scope["method"], display_path(scope["path"]))
            if record.status:
                raise
            answer = self._crashed()
        await self._send(answer, request, send)

    def _begin(self, request: Request) -> Awaitable[Answer | ASGIApp]:
        answering = self._find(request)
        if answering is None:
            raise UnknownUrl(f"Invalid URL ({request.method} {excerpt(display_path(request.path))})")
        return answering

    async def _send(self, answer: Answer, request: Request, send: Send) -> None:
        """Write a response at once, where the server can."""
        body, status, media_type, headers = answer
        request.record.status = status
        request.record.bytes_out = len(body)
        own = header_lines(headers) if headers else b""
        if media_type:
            own = b"content-type: %b\r\n%b" % (media_type, own)
        if status != _NO_CONTENT:
            own = b"content-length: %d\r\n%b" % (len(body), own)
        lines = own + self._common(request, headers)
        extensions = request.scope.get("extensions")
        if extensions and RESPOND in extensions:
            await extensions[RESPOND](status, lines, body)
            return
        await send({"type": "http.response.start", "status": status, "headers": as_pairs(lines)})
        await send({"type": "http.response.body", "body": body})

    def _dressed(self, request: Request, send: Send) -> Send:
        record = request.record

        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                written = list(message.get("headers", ()))
                message["headers"] = [*written, *as_pairs(self._common(request, written))]
            else:
                record.bytes_out += len(message.get("body", b""))
            await send(message)

        return send_dressed

    def _common(self, request: Request, written: Sequence[tuple[bytes, bytes]]) -> bytes:
        record = request.record
        record.end()
        return b"%bopenai-processing-ms: %d\r\n%b%b" % (
            _named(record),
            record.seconds * 1000,
            _rate_limit(record.allowance) if record.allowance else b"",
            security_headers(written, request.scope["scheme"], request.headers, self._origin_policy),
        )

    async def _connection(self, scope: Scope, record: RequestRecord, receive: Receive, send: Send) -> None:
        socket = _Socket(scope["scheme"], Headers(scope["headers"]), record, self._origin_policy, receive, send)
        record.status = _CUT_OFF
        try:
            check_origin(scope, socket.headers, self._origin_policy)
            found = self._socket_at(scope["path"], record)
        except GatewayError as error:
            await _deny(self._refuse(scope["path"], error), socket.send)
            return
        await found(scope, socket.receive, socket.send)

    def _socket_at(self, path: str, record: RequestRecord) -> ASGIApp:
        found = self._sockets.get(path)
        if found is None:
            raise UnknownUrl(f"Invalid URL (GET {excerpt(display_path(path))}): no WebSocket is served here.")
        record.route = path
        return found


@dataclass(slots=True)
class _Socket:
    """What a WebSocket receives and sends, as its record sees it; closures would take twice as much for each."""

    scheme: str
    headers: Headers
    record: RequestRecord
    policy: OriginPolicy
    pass_on: Receive
    write: Send

    async def receive(self) -> Message:
        message = await self.pass_on()
        if message["type"] == "websocket.disconnect":
            self.record.status = message.get("code") or _CUT_OFF
        return message

    async def send(self, message: Message) -> None:
        record = self.record
        if message["type"] in _STARTS:
            written = list(message.get("headers", ()))
            secure = security_headers(written, self.scheme, self.headers, self.policy)
            message["headers"] = [*written, *as_pairs(_named(record) + secure)]
        if message["type"] == "websocket.accept":
            self.headers = _NO_HEADERS  # an open WebSocket needs them no longer
        if message["type"] == "websocket.close":
            record.status = message.get("code") or record.status
        else:
            record.bytes_out += len(message.get("text") or message.get("bytes") or b"")
        await self.write(message)


def early_headers(
    origin_policy: OriginPolicy, observer: Observer
) -> Callable[[int, str, list[tuple[bytes, bytes]], int], bytes]:
    """Return a function that makes the headers of a response sent before there is a request, and reports it.

    It takes the status, the scheme, the headers that were read, and the length of the body.
    """

    def dress(status: int, scheme: str, headers: list[tuple[bytes, bytes]], length: int) -> bytes:
        record = _new_record({"type": "http", "method": ""})
        record.status, record.bytes_out = status, length
        record.end()
        observer(record)
        return _named(record) + security_headers((), scheme, Headers(headers), origin_policy)

    return dress


async def _deny(answer: Answer, send: Send) -> None:
    """Reject a WebSocket handshake. Source: ASGI, "WebSocket Denial Response"."""
    headers = [
        (b"content-length", b"%d" % len(answer.body)),
        (b"content-type", answer.media_type),
        *answer.headers,
    ]
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})


def _named(record: RequestRecord) -> bytes:
    return b"x-request-id: %b\r\nopenai-version: 2020-10-01\r\n" % record.request_id.encode()


def _rate_limit(left: Allowance) -> bytes:
    return (
        b"x-ratelimit-limit-requests: %d\r\nx-ratelimit-remaining-requests: %d\r\nx-ratelimit-reset-requests: %ds\r\n"
        % (left.limit, left.remaining, left.reset_s)
    )


def _new_record(scope: Scope) -> RequestRecord:
    # Clients can send any method; logs and labels name only the ones that exist.
    method = scope.get("method", "GET")
    kind: Literal["request", "connection"] = "request" if scope["type"] == "http" else "connection"
    record = RequestRecord(kind, f"req_{os.urandom(16).hex()}", method if method in _METHODS else "OTHER")
    if client := scope.get("client"):
        record.address = client[0]
    return record


def normalize_path(path: str, raw: bytes) -> str:
    """Remove doubled and trailing slashes, which clients with an empty ID send.

    An encoded slash (`raw` is the path as sent) is part of a segment; ENCODED_SLASH takes its place.
    Source: RFC 3986, 2.2 and 3.3.
    """
    if _PERCENT in raw and b"%2f" in raw.lower():
        path = "/".join(unquote(part).replace("/", ENCODED_SLASH) for part in raw.decode("latin-1").split("/"))
    if path[-1:] != "/" and "//" not in path:
        return path or "/"
    return "/" + "/".join(part for part in path.split("/") if part)
