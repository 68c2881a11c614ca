"""The HTTP/1.1 protocol of a connection: limits on its head, timeouts, refusals, graceful shutdown.

Uvicorn alone accepts heads of any size, waits forever for the rest of a head, for a body, for a client that does not
read and, on shutdown, for event streams; it answers invalid HTTP in plain text; and after a head with `Upgrade` it
parses the body as the next request. Only the part that opens and closes a connection is used of its protocol: its
callbacks of the parser and its timer for each request would take as long as ours.
Must not be here: a response (`exchange`), WebSockets (`websocket_protocol`), the size of a body (`web.body`).
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.domain import bounds
from gateway.server import timeouts
from gateway.server.app_state import CANCEL_READ, CLOSE_SUBSCRIPTIONS, REFUSAL_HEADERS
from gateway.server.exchange import Exchange
from gateway.server.framing import (
    VERSION,
    WEBSOCKET,
    WEBSOCKET_VERSION,
    Follows,
    is_faulty,
    what_follows,
    without_upgrade,
)
from gateway.web.request import header_lines

if TYPE_CHECKING:
    import asyncio
    from collections import deque
    from collections.abc import Mapping

    from gateway.server.exchange import Scope
    from gateway.server.websocket_protocol import WebSocketProtocol

MAX_TARGET: Final = bounds.TARGET.number
MAX_HEAD: Final = bounds.HEAD.number
MAX_HEADERS: Final = bounds.HEADERS.number
MAX_HANDSHAKE_LINE: Final = bounds.HANDSHAKE_LINE.number
# How far the rest of a rejected head is read and dropped, to find its `Origin` for the CORS headers of the error.
ORIGIN_SEARCH_BYTES: Final = 1024 * 1024
ORIGIN_SEARCH_HEADERS: Final = 1_000

REFUSALS: Final[Mapping[HTTPStatus, tuple[str, str]]] = {
    HTTPStatus.BAD_REQUEST: ("invalid_http", "This cannot be read as a request of HTTP/1.1."),
    HTTPStatus.REQUEST_TIMEOUT: ("request_timeout", "The request came too slowly, and was given up."),
    HTTPStatus.REQUEST_URI_TOO_LONG: ("url_too_long", f"The URL is too long. Expected at most {MAX_TARGET} bytes."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        "headers_too_large",
        (
            f"The headers are too large. Expected at most {MAX_HEADERS}, and {MAX_HEAD} bytes with the URL; "
            f"{MAX_HANDSHAKE_LINE} a line in the handshake of a WebSocket."
        ),
    ),
    HTTPStatus.UPGRADE_REQUIRED: (
        "websocket_version_not_supported",
        f"Expected version {WEBSOCKET_VERSION.decode()} of WebSocket (`Sec-WebSocket-Version`).",
    ),
}
_ORIGIN: Final = b"origin"
_HASH: Final = ord("#")  # to look for bytes within bytes takes an exception within Python
_FRAMING: Final = frozenset({b"transfer-encoding", b"expect"})  # beside the length, which the parser looks at
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
# Source: RFC 9110, section 15.5.22; RFC 6455, section 4.4.
_ALTERNATIVE: Final = [
    (b"connection", b"upgrade"),
    (b"upgrade", WEBSOCKET),
    (b"sec-websocket-version", WEBSOCKET_VERSION),
]


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection; closed if the client sends too slowly, or stops reading a response."""

    # What each request reads and writes, uvicorn's own too: a slot is found in a tenth of the time that a dictionary or
    # a default of the class takes.
    __slots__ = (
        *("_body_bytes", "_fault", "_head_bytes", "_held_bytes", "_is_added", "_is_in_head", "_is_refused"),
        *("_is_shutting_down", "_is_silent", "_is_waiting", "_of_connection", "_origin_pieces", "_reader_timer"),
        *("_timer", "_waiting_since", "app", "app_state", "cycle", "expect_100_continue", "flow", "headers", "loop"),
        *("parser", "pipeline", "scope", "server_state", "tasks", "transport", "url"),
    )

    cycle: Exchange | None  # type: ignore[assignment]  # the latest
    scope: Scope  # type: ignore[assignment]
    pipeline: deque[tuple[Exchange, Scope]]  # type: ignore[assignment]  # those behind it, each with its head alone

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.url = b""
        self._of_connection: dict[str, Any] = {}  # what the scope of each request has in common
        self._fault = HTTPStatus.BAD_REQUEST  # what is wrong where the parser gives up
        self._is_silent = True
        self._is_refused = self._is_shutting_down = False
        self._origin_pieces = 0  # pieces of a refused head, of which only the origin is still needed
        self._is_in_head = False
        self._is_added = False  # whether the latest head is that of `cycle`
        self._head_bytes = self._body_bytes = 0
        self._held_bytes = 0  # bytes since the parser last called back
        self._is_waiting = False  # whether a head or a body is awaited
        self._waiting_since = 0.0  # when the awaited head or body began to arrive
        # It keeps running when a request has arrived, since a timer for each request costs more.
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._of_connection = {
            "type": "http",
            "asgi": _ASGI,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
        }
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release timers and the request."""
        self._stop_waiting()
        if self._timer is not None:
            self._timer.cancel()
        self._stop_watching()
        self.connections.discard(self)
        if self.cycle is not None:
            self._leave(self.cycle)
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self.parser = None  # type: ignore[assignment]  # it holds this object

    def _leave(self, cycle: Exchange) -> None:
        """Notify a request that its client has disconnected, and have it cancelled if it only reads."""
        if not cycle.response_complete:
            cycle.disconnected = True
            if not self.pipeline:  # otherwise it has not begun
                self.loop.call_later(timeouts.HUNG_UP_S, self.app_state[CANCEL_READ], cycle.task)
        cycle.notify()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; refuse a header or trailer that exceeds the limit before it ends."""
        if self._is_refused:
            return
        if not self._is_waiting and self._is_idle():
            self._wait_for_head()  # even an empty line in front of the next request is a part of it
        self._held_bytes += len(data)
        try:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as stopped:
                self._resume_after_upgrade(memoryview(data)[stopped.args[0] :])
        except HttpParserError:
            self._refuse(self._fault)
        if self._held_bytes > MAX_HEAD:
            self._refuse(self._fault if self._origin_pieces else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _resume_after_upgrade(self, rest: memoryview) -> None:
        """Continue after a head that names another protocol, where the parser stops whatever it says about a body.

        Unless a WebSocket begins here, the head is read again by another parser, as if it had named none: so its body
        ends where that of any other request would. A WebSocket cannot begin while responses are being written.
        """
        while True:
            version = self.parser.get_http_version()
            follows = what_follows(self.scope["method"], version, self.headers)
            if follows is not Follows.BODY and self._is_idle():
                if follows is Follows.WEBSOCKET:
                    self._become_websocket(bytes(rest))
                else:
                    self._refuse(HTTPStatus.UPGRADE_REQUIRED)
                return
            head = without_upgrade(self.scope["method"], self.url, version, self.headers)
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
            self.parser.feed_data(head)
            try:
                self.parser.feed_data(rest)
            except HttpParserUpgrade as stopped:
                rest = rest[stopped.args[0] :]
            else:
                return

    def _become_websocket(self, early: bytes) -> None:
        """Hand the connection over, and release what only HTTP needs, a tenth of a connection's memory."""
        self.handle_websocket_upgrade()
        protocol = cast("WebSocketProtocol", self.transport.get_protocol())
        if not protocol.handshake_initiated:
            self._refuse_handshake(protocol)
            return
        protocol.early = early
        self._stop_waiting()
        if self._timer is not None:
            self._timer.cancel()
        self.parser = None  # type: ignore[assignment]  # as uvicorn does it when a connection ends

    def _refuse_handshake(self, protocol: WebSocketProtocol) -> None:
        """Refuse a handshake that the library rejected: it is invalid or has a line that is too long."""
        self.connections.discard(protocol)
        self.connections.add(self)
        self.transport.set_protocol(self)
        longest = max(len(name) + len(value) for name, value in (*self.headers, (b"", self.url)))
        is_long = longest > MAX_HANDSHAKE_LINE - len("GET  HTTP/1.1\r\n")
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_long else HTTPStatus.BAD_REQUEST)

    def on_message_begin(self) -> None:
        """Start counting the bytes of a head."""
        self._wait_for_head()
        self.url = b""
        self.expect_100_continue = self._is_silent = False
        self._head_bytes = self._held_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Append a piece of the request target, up to its limit."""
        self._held_bytes = 0
        self._head_bytes += len(url)
        if self._head_bytes <= MAX_TARGET:
            self.url += url
        else:
            self._refuse_with_origin(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; drop a trailer, which the application would never see."""
        self._held_bytes = 0
        size = self._head_bytes = self._head_bytes + len(name) + len(value)
        name, headers = name.lower(), self.headers
        if self._origin_pieces:
            self._refuse_with_origin(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, name, value)
            return
        if self._is_in_head:
            headers.append((name, value))
        if size > MAX_HEAD or len(headers) > MAX_HEADERS:
            self._refuse_with_origin(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, name, value)

    def on_headers_complete(self) -> None:
        """Wait for the body and start the request, unless the parser stops here (see `_resume_after_upgrade`)."""
        if self._origin_pieces:
            self._stop_parser(self._fault)
        self._is_in_head = False
        self._body_bytes = 0
        self._waiting_since = self.loop.time()
        parser = self.parser
        version, method = parser.get_http_version(), parser.get_method().decode()
        self.scope = {
            **self._of_connection,
            "http_version": version,
            "method": method,
            "headers": self.headers,
            "state": self.app_state.copy(),
        }
        named = dict(self.headers)  # quicker than a loop
        if len(named) < len(self.headers) or not _FRAMING.isdisjoint(named):
            self._check_framing(version)
        if parser.should_upgrade():
            if method == "CONNECT":
                self._stop_parser(HTTPStatus.BAD_REQUEST)
            return
        raw_path, query = _split(self.url)
        path = raw_path.decode("ascii")
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"], self.scope["query_string"] = raw_path, query
        # A client that expects 100 Continue and gets a response may send its body or not.
        is_last = version == "1.0" or self.expect_100_continue or self._is_shutting_down
        self._add(keep_alive=not is_last and parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body."""
        self._held_bytes = 0
        self._body_bytes += len(body)
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.notify()

    def on_message_complete(self) -> None:
        """Stop waiting: the request is complete."""
        self._held_bytes = 0
        if self.parser.should_upgrade():
            return
        self._stop_waiting()
        if self.cycle is not None:
            self.cycle.more_body = False
            self.cycle.notify()

    def on_response_complete(self) -> None:
        """Begin the next request if it has arrived already; else wait for one."""
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._run(*self.pipeline.pop())
        elif not self._is_waiting:
            self._waiting_since = self.loop.time()
            self._start_timer(timeouts.REQUEST_S)

    def pause_writing(self) -> None:
        """Pause writing, and close the connection if the client stops reading."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Resume writing: the client has read."""
        super().resume_writing()
        self._stop_watching()

    def shutdown(self) -> None:
        """Finish running and arriving requests, except event streams and clients that do not read.

        A client that sends a request on a connection that is being closed cannot know whether it was executed, and a
        proxy must not repeat it. So an idle connection is closed after the response to a last request, or if none
        arrives.
        """
        self.app_state[CLOSE_SUBSCRIPTIONS]()
        self._is_shutting_down = True
        if self._is_refused:
            self.transport.close()
        elif self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(timeouts.LAST_REQUEST_S, self._close_if_idle)
        else:
            self.cycle.keep_alive = False
        if self._reader_timer is not None:
            self._watch_reader()

    def _close_if_idle(self) -> None:
        if self in self.connections:  # it has not become a WebSocket meanwhile
            super().shutdown()

    def _watch_reader(self) -> None:
        self._stop_watching()
        unread = self.transport.get_write_buffer_size()
        self._reader_timer = self.loop.call_later(
            timeouts.CLOSE_S if self._is_shutting_down else timeouts.WRITE_S, self._check_reader, unread
        )

    def _stop_watching(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _check_reader(self, unread: int) -> None:
        """Abort the connection unless the client has read something; writing is paused, so less is buffered then."""
        if self.transport.get_write_buffer_size() < unread:
            self._watch_reader()
        else:
            self.transport.abort()

    def _add(self, *, keep_alive: bool) -> None:
        """Run a request after the earlier ones."""
        is_next = self._is_idle()
        self.cycle = exchange = Exchange(
            self, self.scope["method"], keep_alive=keep_alive, expects_continue=self.expect_100_continue
        )
        self._is_added = True
        if is_next:
            self._run(exchange, self.scope)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.scope))

    def _run(self, exchange: Exchange, scope: Scope) -> None:
        exchange.task = self.loop.create_task(exchange.run(self.app, scope))
        self.tasks.add(exchange.task)

    def _wait_for_head(self) -> None:
        self.headers = []  # of the request before
        self._is_in_head, self._is_added = True, False
        if not self._is_waiting:
            self._is_waiting = True
            self._waiting_since = self.loop.time()
            self._start_timer(timeouts.REQUEST_S)

    def _start_timer(self, after_s: float) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(after_s, self._check_sender)

    def _stop_waiting(self) -> None:
        self._is_in_head = self._is_waiting = False

    def _check_sender(self) -> None:
        """Refuse a request that did not arrive in time; close a connection on which none has begun."""
        self._timer = None
        now = self.loop.time()
        if self._is_waiting:
            if self.flow.read_paused:
                self._waiting_since = now  # the server paused reading, so the client has to wait
            more_s = 0.0 if self._is_in_head else self._body_bytes / timeouts.MIN_BYTES_PER_S
            left_s = self._waiting_since + timeouts.REQUEST_S + more_s - now
        elif self._is_idle():
            left_s = self._waiting_since + self.timeout_keep_alive - now
        else:
            return
        if left_s > 0:
            self._start_timer(min(left_s, timeouts.REQUEST_S))  # an idle connection may get a request first
        elif self._is_silent or not self._is_waiting:
            self.transport.close()  # no request has started, so none is answered
        else:
            self._refuse(self._fault if self._origin_pieces else HTTPStatus.REQUEST_TIMEOUT)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_answered(self) -> bool:
        cycle = self.cycle
        return self._is_added and cycle is not None and cycle.response_complete

    def _check_framing(self, version: str) -> None:
        """Check headers that must not be repeated, and those that determine the end of a request."""
        expected = [value.lower() for name, value in self.headers if name == b"expect"]
        self.expect_100_continue = version == VERSION and b"100-continue" in expected
        if is_faulty(version, self.headers):
            self._stop_parser(HTTPStatus.BAD_REQUEST)

    def _refuse_with_origin(self, fault: HTTPStatus, name: bytes = b"", value: bytes = b"") -> None:
        """Refuse a head after reading `Origin`, which may come after the limit; keep no other header."""
        if not self._origin_pieces:
            self._fault = fault
            is_known = not self._is_in_head or any(each == _ORIGIN for each, _ in self.headers)
        elif is_known := name == _ORIGIN:
            self.headers = [(name, value)]
        self._origin_pieces += 1
        if is_known or self._head_bytes > ORIGIN_SEARCH_BYTES or self._origin_pieces > ORIGIN_SEARCH_HEADERS:
            self._stop_parser(self._fault)

    def _stop_parser(self, fault: HTTPStatus) -> None:
        """Stop the parser from within one of its callbacks."""
        self._fault = fault
        raise ValueError(fault)

    def _refuse(self, fault: HTTPStatus) -> None:
        """Refuse the request and close; abort a response that has started, and send nothing after a complete one.

        Later bytes of the client are read and dropped: a reset would discard the refusal before the client reads it.
        Source: RFC 9112, section 9.6.
        """
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused, is_answered = True, self._is_answered()
        self._stop_waiting()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.notify()
            if self.cycle.response_started or self.pipeline:
                self.transport.close()
                return
        if not is_answered:
            self._write_refusal(fault)
        self.transport.write_eof()
        self.loop.call_later(timeouts.CLOSE_S, self.transport.close)

    def _write_refusal(self, fault: HTTPStatus) -> None:
        code, message = REFUSALS[fault]
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        body = json.dumps({"error": error}, separators=(",", ":")).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *(_ALTERNATIVE if fault is HTTPStatus.UPGRADE_REQUIRED else ()),
        ]
        head = header_lines(headers) + self.app_state[REFUSAL_HEADERS](fault, self.scheme, self.headers, len(body))
        self.transport.write(b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (fault, fault.phrase.encode(), head, body))


def _split(target: bytes) -> tuple[bytes, bytes]:
    """Split a request target into its path and its query; only unusual forms need a parser."""
    if target.startswith(b"/") and _HASH not in target:
        path, _, query = target.partition(b"?")
        return path, query
    url = parse_url(target)
    return url.path, url.query or b""
