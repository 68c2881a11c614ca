"""A WebSocket is sent pings while it answers them, by one timer for all connections."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from gateway.server.app_state import CLOSE_SUBSCRIPTIONS
from gateway.server.http_protocol import HttpProtocol
from gateway.server.websocket_protocol import WebSocketProtocol
from tests.following import PATIENCE_S
from tests.live.inside import Quiet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Connect = Callable[[], Any]

INTERVAL_S: Final = 0.01
_HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
# RFC 6455, section 5.2: a final frame, its code, and the length of its payload.
_PING: Final = b"\x89\x04"
_PONG: Final = b"\x8a\x84" + bytes(4)  # behind a mask that changes nothing


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Accept WebSockets, and wait until they are closed."""
    if scope["type"] == "lifespan":
        scope["state"][CLOSE_SUBSCRIPTIONS] = lambda: None
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    scope["extensions"].clear()
    while (await receive())["type"] != "websocket.disconnect":
        pass


@asynccontextmanager
async def connecting(app: Any = _app, *, patience_s: float = PATIENCE_S) -> AsyncIterator[Connect]:
    """Serve, and give a function that opens a WebSocket."""
    options: dict[str, Any] = {"http": HttpProtocol, "ws": WebSocketProtocol, "log_level": "error", "lifespan": "on"}
    config = uvicorn.Config(
        app, ws_ping_interval=INTERVAL_S, ws_ping_timeout=patience_s, timeout_graceful_shutdown=1, **options
    )
    server, listener = Quiet(config), socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    port = listener.getsockname()[1]
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        writer.write(_HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    try:
        async with asyncio.timeout(PATIENCE_S):
            yield connect
    finally:
        for each in opened:
            each.close()
        server.should_exit = True
        server.stopping.set()
        await running


async def _answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Wait for a ping and answer it; return its payload."""
    assert await reader.readexactly(2) == _PING
    payload = await reader.readexactly(4)
    writer.write(_PONG + payload)
    return payload


async def test_each_connection_that_answers_is_sent_ping_after_ping() -> None:
    async with connecting() as connect:
        first, second = await connect(), await connect()

        pings = [await _answered(*each) for _ in range(5) for each in (first, second)]

        assert len(set(pings)) == len(pings)


async def test_a_connection_that_was_closed_holds_up_no_pings_of_others() -> None:
    async with connecting() as connect:
        (_, gone), stays = await connect(), await connect()
        gone.transport.abort()

        for _ in range(3):
            await _answered(*stays)
        late = await connect()

        await _answered(*late)


async def test_pings_begin_again_after_nobody_was_connected() -> None:
    async with connecting() as connect:
        for _ in range(3):
            reader, writer = await connect()
            await _answered(reader, writer)
            writer.close()
            await writer.wait_closed()


async def test_a_connection_that_answers_no_ping_is_closed() -> None:
    async with connecting(patience_s=INTERVAL_S) as connect:
        reader, _ = await connect()

        told = await reader.read()

        assert told.startswith(_PING)
        assert b"keepalive ping timeout" in told


async def test_to_the_application_a_client_without_pongs_has_left() -> None:
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def keep_sending(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        scope["extensions"].clear()
        try:
            while True:
                await send({"type": "websocket.send", "text": "event"})
                await asyncio.sleep(0)
        except (OSError, RuntimeError) as error:
            ended.set_result(error)

    async with connecting(keep_sending, patience_s=0.05) as connect:
        reader, _ = await connect()
        while await reader.read(65_536):
            pass

        assert isinstance(await ended, OSError)
