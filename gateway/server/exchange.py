"""One request on a connection and its response: what an application receives and sends, by ASGI.

Uvicorn's own class searches the name and the value of every header by regular expressions, which takes as long as the
rest of the server's work on a request.
Must not be here: the connection, its limits and its timeouts (`http_protocol`).
Source: ASGI, "HTTP & WebSocket ASGI Message Format"; RFC 9112, sections 6.3, 7.1 and 9.6; RFC 9110, section 10.1.1.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from gateway.concurrency import Event
from gateway.web.request import RESPOND, header_lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Application = Callable[[Scope, Any, Any], Awaitable[None]]

log: Final = logging.getLogger(__name__)

_STATUS_LINES: Final = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}
_BODILESS: Final = (204, 304)
_HELD: Final = 256 * 1024  # larger responses are not buffered twice for one client
_CRASHED: Final = b"Internal Server Error"


class Connection(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState
    tasks: set[asyncio.Task[None]]

    def on_response_complete(self) -> None:
        """Go on with the next request."""


class Exchange:
    """A request, the received part of its body, and the state of its response."""

    __slots__ = (
        *("_connection", "_has_news", "_is_bodiless", "_is_chunked", "_missing", "_news", "_waits_to_continue", "body"),
        *("disconnected", "keep_alive", "more_body", "response_complete", "response_started", "task"),
    )

    task: asyncio.Task[None]  # that runs it

    def __init__(self, connection: Connection, method: str, *, keep_alive: bool, expects_continue: bool) -> None:
        self.body = b""
        self.more_body = True
        self.disconnected = self.response_started = self.response_complete = False
        self.keep_alive = keep_alive  # whether the connection outlives the response
        self._connection = connection
        self._waits_to_continue = expects_continue
        self._has_news = False  # for `receive`
        self._news: Event | None = None  # made when `receive` has to wait
        self._is_bodiless = method == "HEAD"
        self._is_chunked = False
        self._missing = 0  # bytes of the response that are not written yet

    async def run(self, application: Application, scope: Scope) -> None:
        """Call the application, and end what it left unfinished."""
        scope["extensions"] = {RESPOND: self.respond}  # not kept here: it would be a reference cycle
        try:
            await application(scope, self.receive, self.send)
        except (Exception, asyncio.CancelledError):  # cancelled when the time for a graceful shutdown is over
            log.exception("a response was not finished")
        try:
            if not (self.response_complete or self.disconnected):
                await self._give_up()
        finally:
            self._connection.tasks.discard(self.task)

    async def _give_up(self) -> None:
        self.keep_alive = False
        if self.response_started:
            self._connection.transport.close()
        else:
            head = b"content-type: text/plain\r\ncontent-length: %d\r\n" % len(_CRASHED)
            await self.respond(500, head, _CRASHED)

    async def receive(self) -> Message:
        """Wait for more of the body, the end of the response or of the connection."""
        transport = self._connection.transport
        if self._waits_to_continue and not transport.is_closing():
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._waits_to_continue = False
        if not (self.disconnected or self.response_complete):
            self._connection.flow.resume_reading()
            if not self._has_news:
                self._news = self._news or Event()
                await self._news.wait()
                self._news.clear()
            self._has_news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def notify(self) -> None:
        """Wake `receive`, since the state has changed."""
        self._has_news = True
        if self._news is not None:
            self._news.set()

    async def send(self, message: Message) -> None:
        """Write the head or a part of the body of a response; wait while the client does not read.

        Errors: RuntimeError where the messages are no response of HTTP.
        """
        if self._connection.flow.write_paused:
            await self._until_read()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._write_head(message["status"], message["headers"])
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._write_body(message.get("body", b""), has_more=message.get("more_body", False))
        else:
            raise RuntimeError(f"Unexpected message: {message['type']}")

    async def respond(self, status: int, head: bytes, body: bytes) -> None:
        """Write a whole response at once; `head` has valid lines of headers, and the length of the body.

        With pipelining, the next request is handled only after the client has read a large body.
        """
        if self._connection.flow.write_paused:
            await self._until_read()
        if self.disconnected:
            return
        self._write_start(status, head, b"" if self._is_bodiless else body)
        if len(body) >= _HELD:
            await self._until_read()
        if not self.disconnected:
            self._complete()

    async def _until_read(self) -> None:
        if self._connection.flow.write_paused and not self.disconnected:
            await self._connection.flow.drain()

    def _write_head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        head = header_lines(headers)
        if not self._is_bodiless and status not in _BODILESS:
            length = dict(headers).get(b"content-length")
            self._is_chunked = length is None
            self._missing = int(length or 0)
            if self._is_chunked:
                head += b"transfer-encoding: chunked\r\n"
        self._write_start(status, head)

    def _write_start(self, status: int, head: bytes, body: bytes = b"") -> None:
        self.response_started = True
        self._waits_to_continue = False
        lines = [b"%b: %b\r\n" % each for each in self._connection.server_state.default_headers]
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self._connection.transport.writelines((b"".join((_STATUS_LINES[status], *lines, head, end)), body))

    def _write_body(self, body: bytes, *, has_more: bool) -> None:
        if self._is_chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._connection.transport.write(chunk if has_more else chunk + b"0\r\n\r\n")
        elif not self._is_bodiless:
            self._missing -= len(body)
            if self._missing < 0 or (self._missing and not has_more):
                raise RuntimeError("The length of a response is not what its head says.")
            self._connection.transport.write(body)
        if not has_more:
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        self.notify()
        if not self.keep_alive:
            self._connection.transport.close()
        self._connection.on_response_complete()
