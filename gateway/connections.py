"""How connections end when the server stops: followers are sent away at once, requests that run are finished.

Left to itself uvicorn waits for a stream of events as for any request, and for a client that has stopped to read.
Must not be here: what followers are told (`gql`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from asyncio import Protocol as _HttpProtocol
else:
    _HttpProtocol = AutoHTTPProtocol  # a variable, which the checker cannot take for a base

END_FOLLOWING: Final = "end_following"  # where the application's state has what sends all followers away
CUT_S: Final = 5.0  # how long a WebSocket that was closed may take to go


class HttpProtocol(_HttpProtocol):
    """One HTTP connection."""

    def shutdown(self) -> None:
        """Finish what runs, but for streams of events."""
        self.app_state[END_FOLLOWING]()  # type: ignore[attr-defined]
        super().shutdown()  # type: ignore[misc]


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket; whoever does not let go of it is cut off."""

    def shutdown(self) -> None:
        """Let the application say goodbye, which it does in the protocol's own way."""
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
            return
        self.stop_keepalive()
        self.app_state[END_FOLLOWING]()
        self._cut_later()

    async def run_asgi(self) -> None:
        """Serve the connection; what its client has not read by then is not waited for long."""
        await super().run_asgi()
        self._cut_later()

    def _cut_later(self) -> None:
        self.loop.call_later(CUT_S, self.transport.abort)
