"""Connections: how much a client may send for a head, how long it may send and read, and how all end at a stop.

Left to itself uvicorn takes heads of any size, waits without end for one that has begun, for a body, for a client that
has stopped to read and, when it stops, for a stream of events; it answers in plain text what is no HTTP; and behind a
head that names another protocol it reads the body as the next request.
Must not be here: what followers are told (`gql`); the size of a body (`web.body`).
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidHandshake

from gateway.concurrency import Event, Inbox
from gateway.domain import bounds
from gateway.server.framing import (
    VERSION,
    WEBSOCKET,
    WEBSOCKET_VERSION,
    Follows,
    is_faulty,
    what_follows,
    without_upgrade,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from websockets.http11 import Request

_LONG_MESSAGES: Final = "gateway.long_messages"  # where a WebSocket's extensions have what lets them in
END_FOLLOWING: Final = "end_following"  # where the application's state has what sends all followers away
DRESS_REFUSAL: Final = "dress_refusal"  # and what gives a refusal the headers of every answer, and logs it
STALL_S: Final = 30.0  # how long a client may read nothing of what waits for it; one that follows resumes by cursor
CUT_S: Final = 5.0  # the same once the server stops, and how long a client may take to go after it was told to
LAST_S: Final = 0.5  # how long what was on its way when the server stopped may take to be here

MAX_TARGET: Final = bounds.TARGET.number
MAX_HEAD: Final = bounds.HEAD.number
MAX_HEADERS: Final = bounds.HEADERS.number
MAX_HANDSHAKE_LINE: Final = bounds.HANDSHAKE_LINE.number
# How far the rest of a head that is refused is read, and dropped, until `Origin` says whether its page may be told why.
LOOK_BYTES: Final = 1024 * 1024
LOOK_HEADERS: Final = 1_000

# A head has so long; a body as long again, and a second more for each so many bytes that have come.
# Source: the defaults of Apache's mod_reqtimeout.
WAIT_S: Final = 20.0
BYTES_A_SECOND: Final = 500

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
_FRAMING: Final = frozenset({b"transfer-encoding", b"expect"})  # beside the length, which the parser looks at
# Source: RFC 9110, section 15.5.22; RFC 6455, section 4.4.
_ALTERNATIVE: Final = [
    (b"connection", b"upgrade"),
    (b"upgrade", WEBSOCKET),
    (b"sec-websocket-version", WEBSOCKET_VERSION),
]


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection; whoever sends too slowly, or reads nothing of an answer for long, is cut off.

    What is called for each piece of a request names its base class, since `super()` takes as long as most of them.
    """

    _fault = HTTPStatus.BAD_REQUEST  # what is wrong where the parser gives up
    _is_silent = True
    _is_refused = False
    _looked_at = 0  # how many pieces of a head that is refused, of which only its origin is wanted any more
    _is_in_head = False
    _head_bytes = 0
    _held_bytes = 0  # what has come since the parser last handed something out
    _body_bytes = 0
    _since = 0.0  # when the head or the body that is awaited began to be
    _is_awaited = False  # whether a head or a body is
    _timer: asyncio.TimerHandle | None = None  # runs on when it came, since to make one for each request costs more
    _looking: asyncio.TimerHandle | None = None
    _is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._await_no_more()
        if self._timer is not None:
            self._timer.cancel()
        self._look_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come; of a header or trailer that does not end, only so much."""
        if self._is_refused:
            return
        if not self._is_awaited and (self.cycle is None or self.cycle.response_complete):
            self._await_head()  # even an empty line in front of the next request ends uvicorn's own wait for it
        self._held_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as stopped:
                self._go_on(memoryview(data)[stopped.args[0] :])
        except HttpParserError:
            self._refuse(self._fault)
        if self._held_bytes > MAX_HEAD:
            self._refuse(self._fault if self._looked_at else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _go_on(self, rest: memoryview) -> None:
        """Go on behind a head that names another protocol, at which the parser stops whatever the head says of a body.

        Unless a WebSocket begins here, it is read again by a parser of its own, as if it had not named any: so its
        body ends where that of any other request would. A WebSocket cannot begin while answers are under way.
        """
        while True:
            version = self.parser.get_http_version()
            follows = what_follows(self.scope["method"], version, self.headers)
            if follows is not Follows.BODY and (self.cycle is None or self.cycle.response_complete):
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
        """Hand the connection on, and hold nothing any more that only HTTP needs: it is a tenth of what that takes."""
        self.handle_websocket_upgrade()
        protocol = cast("WebSocketProtocol", self.transport.get_protocol())
        if not protocol.handshake_initiated:
            self._take_back(protocol)
            return
        protocol.early = early
        self._await_no_more()
        if self._timer is not None:
            self._timer.cancel()
        self.parser = None  # type: ignore[assignment]  # as uvicorn does it when a connection ends

    def _take_back(self, protocol: WebSocketProtocol) -> None:
        """Refuse a handshake of which nothing has become, since it is wrong or too long for the library."""
        self.connections.discard(protocol)
        self.connections.add(self)
        self.transport.set_protocol(self)
        longest = max(len(name) + len(value) for name, value in (*self.headers, (b"", self.url)))
        is_long = longest > MAX_HANDSHAKE_LINE - len("GET  HTTP/1.1\r\n")
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_long else HTTPStatus.BAD_REQUEST)

    def on_message_begin(self) -> None:
        """Begin to count."""
        if not self._is_awaited:
            self._await_head()
        HttpToolsProtocol.on_message_begin(self)  # behind it: the headers of the request's scope are this one's list
        self._is_silent = False
        self._is_in_head = True
        self._head_bytes = self._held_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._held_bytes = 0
        self._head_bytes += len(url)
        if self._head_bytes <= MAX_TARGET:
            HttpToolsProtocol.on_url(self, url)
        else:
            self._look_for_origin(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is dropped, since nobody who looks through headers would see it."""
        self._held_bytes = 0
        size = self._head_bytes = self._head_bytes + len(name) + len(value)
        if self._is_in_head and not self._looked_at:
            HttpToolsProtocol.on_header(self, name, value)
        if self._looked_at or size > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            self._look_for_origin(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, name.lower(), value)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body, and with the request unless the parser stops here: see `_go_on`."""
        if self._looked_at:
            self._give_up(self._fault)
        self._is_in_head = False
        self._body_bytes = 0
        self._since = self.loop.time()
        named = dict(self.headers)  # quicker than a loop
        if len(named) < len(self.headers) or not _FRAMING.isdisjoint(named):
            self._heed()
        if self.parser.should_upgrade():
            self.scope["method"] = self.parser.get_method().decode()
            if self.scope["method"] == "CONNECT":
                self._give_up(HTTPStatus.BAD_REQUEST)
            return
        HttpToolsProtocol.on_headers_complete(self)
        if self.cycle is not None and (self.expect_100_continue or self._is_ending):
            # A client that expects 100 Continue and gets an answer may send its body or not: nobody can know.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._held_bytes = 0
        self._body_bytes += len(body)
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """Wait for no more of this request, if it has begun."""
        self._held_bytes = 0
        if self.parser.should_upgrade():
            return
        self._await_no_more()
        HttpToolsProtocol.on_message_complete(self)

    def pause_writing(self) -> None:
        """Write no more for now, and see to it that the client reads on."""
        super().pause_writing()
        self._look_later()

    def resume_writing(self) -> None:
        """Write on, since the client has read."""
        super().resume_writing()
        self._look_no_more()

    def shutdown(self) -> None:
        """Finish what runs and what is on its way, but for streams of events and for those who do not read.

        Who sends a request on a connection that is being closed cannot know whether it was done, and a proxy dares not
        send it elsewhere. So an idle connection is closed behind the answer to its last request, or when none comes.
        """
        self.app_state[END_FOLLOWING]()
        self._is_ending = True
        if self._is_refused:
            self.transport.close()
        elif self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_S, self._close_if_idle)
        else:
            self.cycle.keep_alive = False
        if self._looking is not None:
            self._look_later()

    def _close_if_idle(self) -> None:
        if self in self.connections:  # it has not become a WebSocket meanwhile
            super().shutdown()

    def _look_later(self) -> None:
        self._look_no_more()
        unread = self.transport.get_write_buffer_size()
        self._looking = self.loop.call_later(CUT_S if self._is_ending else STALL_S, self._look, unread)

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _look(self, unread: int) -> None:
        """Cut the client off, unless it has read something; nothing is added meanwhile, so less is read."""
        if self.transport.get_write_buffer_size() < unread:
            self._look_later()
        else:
            self.transport.abort()

    def _await_head(self) -> None:
        self.headers = []  # of the request before
        self._is_in_head = self._is_awaited = True
        self._since = self.loop.time()
        if self._timer is None:
            self._timer = self.loop.call_later(WAIT_S, self._check_sender)

    def _await_no_more(self) -> None:
        self._is_in_head = self._is_awaited = False

    def _check_sender(self) -> None:
        """Cut the client off where it has sent too little for the time that it had."""
        self._timer = None
        if not self._is_awaited:
            return
        now = self.loop.time()
        if self.flow.read_paused:
            self._since = now  # it is we who let the client wait
        more_s = 0.0 if self._is_in_head else self._body_bytes / BYTES_A_SECOND
        left_s = self._since + WAIT_S + more_s - now
        if left_s > 0:
            self._timer = self.loop.call_later(left_s, self._check_sender)
        elif self._is_silent:
            self.transport.close()  # there is nothing to answer
        else:
            self._refuse(self._fault if self._looked_at else HTTPStatus.REQUEST_TIMEOUT)

    def _is_answered(self) -> bool:
        cycle = self.cycle
        return not self._is_in_head and cycle is not None and cycle.scope is self.scope and cycle.response_complete

    def _heed(self) -> None:
        """Check headers that may not come twice, and those that change what belongs to a request."""
        version = self.parser.get_http_version()
        self.expect_100_continue &= version == VERSION
        if is_faulty(version, self.headers):
            self._give_up(HTTPStatus.BAD_REQUEST)

    def _look_for_origin(self, fault: HTTPStatus, name: bytes = b"", value: bytes = b"") -> None:
        """Refuse a head once its origin is known, which may stand behind what is too much; hold nothing else of it."""
        if not self._looked_at:
            self._fault = fault
            is_known = not self._is_in_head or any(each == _ORIGIN for each, _ in self.headers)
        elif is_known := name == _ORIGIN:
            self.headers = [(name, value)]
        self._looked_at += 1
        if is_known or self._head_bytes > LOOK_BYTES or self._looked_at > LOOK_HEADERS:
            self._give_up(self._fault)

    def _give_up(self, fault: HTTPStatus) -> None:
        """Stop the parser, which is calling us."""
        self._fault = fault
        raise ValueError(fault)

    def _refuse(self, fault: HTTPStatus) -> None:
        """Answer, unless the request has its answer, and close; an answer that has begun is broken off instead.

        What the client still sends is read and dropped, or its machine would throw our answer away unread.
        Source: RFC 9112, section 9.6.
        """
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused, is_answered = True, self._is_answered()
        self._await_no_more()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started or self.pipeline:
                self.transport.close()
                return
        if not is_answered:
            self._write_refusal(fault)
        self.transport.write_eof()
        self.loop.call_later(CUT_S, self.transport.close)

    def _write_refusal(self, fault: HTTPStatus) -> None:
        code, message = REFUSALS[fault]
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        body = json.dumps({"error": error}, separators=(",", ":")).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *self.app_state[DRESS_REFUSAL](fault, self.scheme, self.headers, len(body)),
            *(_ALTERNATIVE if fault is HTTPStatus.UPGRADE_REQUIRED else ()),
        ]
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (fault, fault.phrase.encode(), head, body))


def take_long_messages(scope: Mapping[str, Any]) -> None:
    """Take messages of any length that the server takes at all: it is known now who sends them."""
    if extension := scope.get("extensions", {}).pop(_LONG_MESSAGES, None):
        extension["take"]()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket; whoever does not let go of it is cut off.

    Until `take_long_messages` is called a message may be only as long as a hello, whoever sends it.
    Until it is open nothing is read: what has come `early` with the handshake is none of HTTP's any more.
    """

    # Uvicorn's own attributes: a dictionary of more than thirty takes 1.6 KB, each of these 8 bytes.
    __slots__ = (
        "_opening",
        "app",
        "app_state",
        "asgi_version",
        "client",
        "close_sent",
        "close_timeout",
        "close_timer",
        "config",
        "conn",
        "connections",
        "curr_msg_data_type",
        "default_headers",
        "disconnected",
        "early",
        "frames",
        "handshake_complete",
        "handshake_initiated",
        "initial_response",
        "last_ping_rtt",
        "logger",
        "loop",
        "pending_ping_payload",
        "ping_interval",
        "ping_sent_at",
        "ping_timeout",
        "ping_timer",
        "pong_timer",
        "queue",
        "read_paused",
        "root_path",
        "scheme",
        "scope",
        "server",
        "tasks",
        "transport",
        "writable",
    )

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn.max_message_size = bounds.HELLO.number
        self.queue = Inbox()  # type: ignore[assignment]
        self.writable = Event(is_set=True)  # type: ignore[assignment]
        self.early = b""
        self._opening: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._open_by_no_time()
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Begin with a handshake, unless it is wrong: then nothing is begun, and HTTP answers it."""
        try:
            self.conn.process_request(event)
        except InvalidHandshake:
            return
        self.transport.pause_reading()
        self._opening = self.loop.call_later(WAIT_S, self.transport.abort)
        super().handle_connect(event)

    def shutdown(self) -> None:
        """Let the application say goodbye, which it does in the protocol's own way."""
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
            return
        self.stop_keepalive()
        self.app_state[END_FOLLOWING]()
        self.loop.call_later(CUT_S, self._cut_if_stalled)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Wait no longer for what the client has not read by the time it has been served."""
        super().on_task_complete(task)
        self.loop.call_later(CUT_S, self.transport.abort)

    def start_keepalive(self) -> None:
        """Begin after the handshake, of which nothing is needed any more: it is a tenth of what a connection takes."""
        super().start_keepalive()
        self.scope["extensions"][_LONG_MESSAGES] = {"take": self._take_long_messages}
        self._open_by_no_time()
        self.request.headers.clear()  # the library's parser holds on to the request
        del self.request, self.response
        self.transport.resume_reading()
        if self.early:
            early, self.early = self.early, b""
            self.data_received(early)

    def _open_by_no_time(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def _take_long_messages(self) -> None:
        self.conn.max_message_size = self.config.ws_max_size

    def _cut_if_stalled(self) -> None:
        """Cut off who does not read; who does may wait for the answer to what is finished first."""
        if not self.writable.is_set():
            self.transport.abort()
        elif not self.disconnected:
            self.loop.call_later(CUT_S, self._cut_if_stalled)
