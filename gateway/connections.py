"""How connections end: who does not read is cut off, and when the server stops followers are sent away at once.

Left to itself uvicorn waits without end for a client that has stopped to read, and for a stream of events as for any
request.
Must not be here: what followers are told (`gql`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from asyncio import Protocol as _HttpProtocol
    from asyncio import TimerHandle
else:
    _HttpProtocol = AutoHTTPProtocol  # a variable, which the checker cannot take for a base

END_FOLLOWING: Final = "end_following"  # where the application's state has what sends all followers away
STALL_S: Final = 30.0  # how long a client may read nothing of what waits for it; one that follows resumes by cursor
CUT_S: Final = 5.0  # the same once the server stops, and how long a WebSocket that was closed may take to go


class HttpProtocol(_HttpProtocol):
    """One HTTP connection; whoever reads nothing of an answer for long is cut off, be it whole or a stream."""

    _looking: TimerHandle | None = None
    _is_ending = False

    def pause_writing(self) -> None:
        """Write no more for now, and see to it that the client reads on."""
        super().pause_writing()
        self._look_later()

    def resume_writing(self) -> None:
        """Write on, since the client has read."""
        super().resume_writing()
        self._look_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._look_no_more()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Finish what runs, but for streams of events and for those who do not read."""
        self.app_state[END_FOLLOWING]()  # type: ignore[attr-defined]
        super().shutdown()  # type: ignore[misc]
        self._is_ending = True
        if self._looking is not None:
            self._look_later()

    def _look_later(self) -> None:
        self._look_no_more()
        unread = self.transport.get_write_buffer_size()  # type: ignore[attr-defined]
        after_s = CUT_S if self._is_ending else STALL_S
        self._looking = self.loop.call_later(after_s, self._look, unread)  # type: ignore[attr-defined]

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _look(self, unread: int) -> None:
        """Cut the client off, unless it has read something; nothing is added meanwhile, so less is read."""
        if self.transport.get_write_buffer_size() < unread:  # type: ignore[attr-defined]
            self._look_later()
        else:
            self.transport.abort()  # type: ignore[attr-defined]


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket; whoever does not let go of it is cut off."""

    def shutdown(self) -> None:
        """Let the application say goodbye, which it does in the protocol's own way."""
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
            return
        self.stop_keepalive()
        self.app_state[END_FOLLOWING]()
        self.loop.call_later(CUT_S, self._cut_if_stalled)

    async def run_asgi(self) -> None:
        """Serve the connection; what its client has not read by then is not waited for long."""
        await super().run_asgi()
        self._cut_later()

    def _cut_if_stalled(self) -> None:
        """Cut off who does not read; who does may wait for the answer to what is finished first."""
        if not self.writable.is_set():
            self.transport.abort()
        elif not self.disconnected:
            self.loop.call_later(CUT_S, self._cut_if_stalled)

    def _cut_later(self) -> None:
        self.loop.call_later(CUT_S, self.transport.abort)
