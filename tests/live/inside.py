"""A real uvicorn on a real socket within the test's own process, where its store and hub can be looked at."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from gateway.app import serve_store
from gateway.domain import bounds
from gateway.domain.principal import Principal, Reach
from gateway.events.hub import Hub
from gateway.server.http_protocol import HttpProtocol
from gateway.server.websocket_protocol import WebSocketProtocol
from gateway.store.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractContextManager

    from gateway.auth.authenticator import Authenticator
    from gateway.background import BackgroundTask
    from gateway.observability.listeners import Listeners
    from gateway.runs.service import Answering
    from gateway.web.middleware import RequestMiddleware
    from gateway.web.origins import OriginPolicy


WHO: Final = Principal(Reach("default"))  # everybody, as long as nobody has made a key


class Quiet(uvicorn.Server):
    """A server that leaves the signals to pytest, and stops at once, not up to 0.1 s later."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # sets the headers of each answer
        await self.stopping.wait()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


@dataclass(frozen=True)
class Inside:
    """A server that runs in this process."""

    base_url: str
    app: RequestMiddleware
    store: Store
    hub: Hub
    server: Quiet
    running: asyncio.Task[None]

    @property
    def connections(self) -> set[Any]:
        """Those that clients have to it."""
        return self.server.server_state.connections

    def begin_to_stop(self) -> None:
        """Tell it to stop."""
        self.server.should_exit = True
        self.server.stopping.set()

    async def stop(self) -> None:
        """Tell it to stop, and wait until it has."""
        self.begin_to_stop()
        await self.running


@asynccontextmanager
async def serving_inside(
    database_url: str,
    authenticator_over: Callable[[Store], Authenticator | None] = lambda _store: None,
    listeners: Listeners | None = None,
    origin_policy: OriginPolicy | None = None,
    answering: Answering | None = None,
    background: Callable[[Store, Hub], Sequence[BackgroundTask]] = lambda _store, _hub: (),
) -> AsyncIterator[Inside]:
    """Serve a database for as long as the block, to everybody where no authenticator is made."""
    hub = Hub()
    store = open_store(database_url, hub.wake)
    listener = socket.create_server(("127.0.0.1", 0))
    app = serve_store(
        store,
        hub=hub,
        authenticator=authenticator_over(store),
        listeners=listeners,
        origin_policy=origin_policy,
        answering=answering,
        background=background(store, hub),
    )
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=bounds.GRAPHQL_BODY.number,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=30,
    )
    server = Quiet(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    inside = Inside(f"http://127.0.0.1:{listener.getsockname()[1]}", app, store, hub, server, running)
    try:
        yield inside
    finally:
        await inside.stop()
