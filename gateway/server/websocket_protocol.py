"""The WebSocket protocol of a connection: size limits, timeouts, graceful shutdown, small memory.

Must not be here: HTTP (`http_protocol`), the messages of GraphQL (`graphql.transport`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import CloseCode

from gateway.concurrency import Event, Inbox
from gateway.domain import bounds
from gateway.server import timeouts
from gateway.server.app_state import CLOSE_SUBSCRIPTIONS, PINGS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from uvicorn._types import ASGISendEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

_LONG_MESSAGES: Final = "gateway.long_messages"  # extension of the scope that raises the size limit


def allow_long_messages(scope: Mapping[str, Any]) -> None:
    """Raise the size limit of messages to the server's, and drop its scope, now that the client is authenticated."""
    if extension := scope.get("extensions", {}).pop(_LONG_MESSAGES, None):
        extension["allow"]()


class Pings:
    """The next ping of each connection, all after the same time: a timer for each would take 0.7 KB."""

    __slots__ = ("_due", "_timer")

    def __init__(self) -> None:
        self._due: dict[WebSocketProtocol, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: WebSocketProtocol, at: float) -> None:
        """Send a ping at a time of the loop, which is not before those of the others."""
        self._due[connection] = at
        if self._timer is None:
            self._timer = connection.loop.call_at(at, self._send, connection.loop)

    def discard(self, connection: WebSocketProtocol) -> None:
        """Send none."""
        self._due.pop(connection, None)

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._due:
            first, at = next(iter(self._due.items()))
            if at > loop.time():
                self._timer = loop.call_at(at, self._send, loop)
                return
            del self._due[first]
            loop.call_soon(first.send_keepalive_ping)  # if one fails, the others are still sent


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection; aborted if the client does not close it in time.

    Until `allow_long_messages` is called, the size limit of messages is that of `connection_init`.
    Until the handshake is complete nothing is read; `early` holds the bytes that arrived with it.
    """

    # Uvicorn's own attributes too: as a dictionary they take 1.6 KB, as slots 8 bytes each.
    __slots__ = (
        "_handshake_timer",
        "_pings",
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
        self._pings: Pings = self.app_state.setdefault(PINGS, Pings())
        self._handshake_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Release timers and the application."""
        self._cancel_handshake_timer()
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Start the handshake; leave an invalid one to `HttpProtocol`, which refuses it."""
        try:
            self.conn.process_request(event)
        except InvalidHandshake:
            return
        self.transport.pause_reading()
        self._handshake_timer = self.loop.call_later(timeouts.REQUEST_S, self.transport.abort)
        super().handle_connect(event)

    def handle_text(self, event: Frame) -> None:
        """Pass a message on; the library's parser keeps its last frame, so that is emptied."""
        super().handle_text(event)
        if event.fin:
            event.data, self.frames = b"", []

    def send_receive_event_to_app(self) -> None:
        """Pass a whole message on; the library logs an error for each one that is no UTF-8, so those end here."""
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_utf8(self.frames):
            self.frames = []
            self.conn.send_close(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message; a client that this protocol has given up itself, such as one without pongs, has left."""
        try:
            await super().send(message)
        except RuntimeError:
            if not self.close_sent:
                raise
            raise ClientDisconnected from None

    def shutdown(self) -> None:
        """Ask the application to close the connection, with the close code of its protocol."""
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
            return
        self.stop_keepalive()
        self.app_state[CLOSE_SUBSCRIPTIONS]()
        self.loop.call_later(timeouts.CLOSE_S, self._abort_if_stalled)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Abort the connection if the client has not read everything in time after the application ended."""
        super().on_task_complete(task)
        self.loop.call_later(timeouts.CLOSE_S, self.transport.abort)

    def schedule_ping(self) -> None:
        """Send a ping after the interval."""
        self._pings.add(self, self.loop.time() + (self.ping_interval or 0))

    def stop_keepalive(self) -> None:
        """Send no more pings."""
        self._pings.discard(self)
        super().stop_keepalive()

    def start_keepalive(self) -> None:
        """Start the open phase and release the handshake, a tenth of a connection's memory."""
        super().start_keepalive()
        self.scope["extensions"][_LONG_MESSAGES] = {"allow": self._allow_long_messages}
        self._cancel_handshake_timer()
        self.request.headers.clear()  # the library's parser keeps the request
        del self.request, self.response
        self.transport.resume_reading()
        if self.early:
            early, self.early = self.early, b""
            self.data_received(early)

    def _cancel_handshake_timer(self) -> None:
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
            self._handshake_timer = None

    def _allow_long_messages(self) -> None:
        self.conn.max_message_size = self.config.ws_max_size
        cast("dict[str, Any]", self.scope).clear()  # the application has its own copy

    def _abort_if_stalled(self) -> None:
        """Abort the connection of a client that does not read; one that reads may wait for running mutations."""
        if not self.writable.is_set():
            self.transport.abort()
        elif not self.disconnected:
            self.loop.call_later(timeouts.CLOSE_S, self._abort_if_stalled)


def _is_utf8(frames: list[bytes]) -> bool:
    try:
        b"".join(frames).decode()
    except UnicodeDecodeError:
        return False
    return True
