"""A response is written by ASGI or at once, and an application that fails leaves no half of one."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from gateway.server.exchange import Exchange
from gateway.web.request import RESPOND
from tests.server.test_framing import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = b"a" * 256 * 1024


@dataclass
class Connection:
    """A connection that keeps what is written to it, and counts complete responses."""

    transport: Any = field(default_factory=Transport)
    server_state: ServerState = field(default_factory=ServerState)
    flow: Any = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    completed: int = 0

    def __post_init__(self) -> None:
        self.flow = FlowControl(self.transport)

    def on_response_complete(self) -> None:
        self.completed += 1


@pytest.fixture
async def connection() -> Connection:
    return Connection()


@pytest.fixture
def exchange_of(connection: Connection) -> Callable[..., Exchange]:
    return lambda method="GET": Exchange(connection, method, keep_alive=True, expects_continue=False)


async def run(exchange: Exchange, *messages: Any) -> None:
    """Run an exchange in a task, as a connection does, with an application that sends or raises these."""
    connection: Any = exchange._connection  # noqa: SLF001
    exchange.task = asyncio.create_task(exchange.run(app_that_sends(*messages), {}))
    connection.tasks.add(exchange.task)
    await exchange.task
    assert not connection.tasks


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [*headers]}


def body(content: bytes, *, more_body: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more_body}


def app_that_sends(*messages: Any) -> Any:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for each in messages:
            if isinstance(each, BaseException):
                raise each
            await send(each)

    return app


@pytest.mark.parametrize(
    ("method", "messages", "written"),
    [
        pytest.param(
            "GET",
            [start(200, (b"content-length", b"2")), body(b"ab")],
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab",
            id="of a known length",
        ),
        pytest.param(
            "GET",
            [start(), body(b"ab", more_body=True), body(b"", more_body=True), body(b"c")],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            id="in chunks",
        ),
        pytest.param("GET", [start(204), body(b"")], b"HTTP/1.1 204 No Content\r\n\r\n", id="without content"),
        pytest.param(
            "HEAD",
            [start(200, (b"content-length", b"2")), body(b"ab")],
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
            id="to HEAD",
        ),
    ],
)
async def test_response_is_framed(
    connection: Connection, exchange_of: Callable[..., Exchange], method: str, messages: list[Any], written: bytes
) -> None:
    await run(exchange_of(method), *messages)

    assert connection.transport.written == written
    assert connection.completed == 1
    assert not connection.transport.is_closed


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([RuntimeError("a fault of ours")], id="a crash"),
        pytest.param([asyncio.CancelledError()], id="the end of the server"),
        pytest.param([], id="nothing"),
        pytest.param([body(b"a")], id="a body before its head"),
        pytest.param([start(200, (b"a", b"b\r\nset-cookie: c"))], id="a header with a line break"),
        pytest.param([start(200, (b"a\n", b"b"))], id="a name with a line break"),
        pytest.param([start(200, (b"a", b"\0"))], id="a header with a NUL"),
    ],
)
async def test_application_that_begins_no_valid_response_gets_status_500(
    connection: Connection, exchange_of: Callable[..., Exchange], messages: list[Any]
) -> None:
    await run(exchange_of(), *messages)

    assert connection.transport.written.startswith(b"HTTP/1.1 500 ")
    assert b"connection: close\r\n\r\nInternal" in connection.transport.written
    assert b"set-cookie" not in connection.transport.written
    assert connection.transport.is_closed


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([body(b"a", more_body=True), RuntimeError("too late")], id="a crash"),
        pytest.param([body(b"a", more_body=True)], id="half a body"),
        pytest.param([body(b"a")], id="a body that is too short"),
        pytest.param([body(b"abc")], id="a body that is too long"),
        pytest.param([start()], id="a second head"),
    ],
)
async def test_unfinished_response_ends_the_connection(
    connection: Connection, exchange_of: Callable[..., Exchange], messages: list[Any]
) -> None:
    await run(exchange_of(), start(200, (b"content-length", b"2")), *messages)

    assert connection.transport.written.endswith((b"\r\n\r\n", b"\r\n\r\na"))
    assert connection.transport.is_closed
    assert connection.completed == 0


async def test_client_that_is_gone_gets_nothing(
    connection: Connection, exchange_of: Callable[..., Exchange], caplog: pytest.LogCaptureFixture
) -> None:
    exchange = exchange_of()
    exchange.disconnected = True

    await run(exchange, start(), body(b"a"))
    await exchange.respond(200, b"", b"a")

    assert not connection.transport.written
    assert (await exchange.receive())["type"] == "http.disconnect"
    assert not caplog.records


@pytest.mark.parametrize(("content", "is_awaited"), [(LARGE, True), (LARGE[1:], False)])
async def test_next_request_waits_until_a_large_response_is_read(
    connection: Connection, exchange_of: Callable[..., Exchange], content: bytes, *, is_awaited: bool
) -> None:
    exchange = exchange_of()
    connection.transport.writelines = lambda _parts: connection.flow.pause_writing()

    responding = asyncio.create_task(exchange.respond(200, b"", content))
    await asyncio.sleep(0)
    assert connection.flow.write_paused
    assert exchange.response_complete is not is_awaited

    connection.flow.resume_writing()
    await responding
    assert exchange.response_complete


async def test_end_of_a_response_wakes_who_waits_for_the_client(exchange_of: Callable[..., Exchange]) -> None:
    exchange = exchange_of()
    exchange.more_body = False
    waiting = asyncio.create_task(exchange.receive())
    await asyncio.sleep(0)
    assert not waiting.done()

    await exchange.respond(200, b"", b"")

    assert (await waiting)["type"] == "http.disconnect"


class Scope(dict[str, Any]):
    """A scope that can be watched."""


async def test_finished_exchange_is_no_work_for_the_garbage_collector(connection: Connection) -> None:
    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        await scope["extensions"][RESPOND](200, b"", b"")

    gc.disable()
    try:
        scope = Scope()
        remains = weakref.ref(scope)
        exchange = Exchange(connection, "GET", keep_alive=True, expects_continue=False)
        exchange.task = asyncio.create_task(exchange.run(app, scope))
        await exchange.task
        del exchange, scope

        assert remains() is None
    finally:
        gc.enable()
