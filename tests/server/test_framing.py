"""Where a request ends does not depend on how it is cut: every case of the table, cut at many of its bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.server import timeouts
from gateway.server.app_state import CANCEL_READ, CLOSE_SUBSCRIPTIONS, REFUSAL_HEADERS
from gateway.server.http_protocol import HttpProtocol
from gateway.server.websocket_protocol import WebSocketProtocol
from tests.effort import times
from tests.following import PATIENCE_S
from tests.framing import CASES, HANDSHAKE, MARKED, Case, Seen, head, marked

NEXT: Seen = ("POST", b'{"metadata":{"of":"next"}}')


@dataclass
class Transport(asyncio.Transport):
    """A connection that keeps what is written to it."""

    protocol: Any = None
    written: bytearray = field(default_factory=bytearray)
    is_closed: bool = False
    is_aborted: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: Any) -> None:
        if not self.is_closed:
            self.written += data

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True
        self.is_aborted.set()

    def write_eof(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        """Go on: what is sent here is all there at once."""

    def resume_reading(self) -> None:
        """Go on."""


@dataclass
class Asked:
    """An application that keeps what it was asked, and the lists of headers that it was given."""

    seen: list[Seen] = field(default_factory=list)
    headers: list[list[tuple[bytes, bytes]]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            self.seen.append(("WS", b""))
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass
            return
        body, has_more = b"", True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, has_more = body + message["body"], message["more_body"]
        self.seen.append((scope["method"], body))
        self.headers.append(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


STATE = {CANCEL_READ: lambda _task: None, CLOSE_SUBSCRIPTIONS: lambda: None, REFUSAL_HEADERS: lambda *_: b""}
CONFIG = uvicorn.Config(Asked(), http=HttpProtocol, ws=WebSocketProtocol, log_config=None)
CONFIG.load()


async def feed(*pieces: bytes) -> tuple[Asked, bytes]:
    """Send pieces one after the other, and give what was asked by them and answered."""
    CONFIG.loaded_app = asked = Asked()
    state, transport = ServerState(), Transport()
    transport.protocol = HttpProtocol(CONFIG, state, STATE)
    transport.protocol.connection_made(transport)
    for piece in pieces:
        if not transport.is_closed:
            transport.protocol.data_received(piece)
        await asyncio.sleep(0)
    while state.tasks:
        await asyncio.wait(state.tasks)
    transport.protocol.connection_lost(None)
    return asked, bytes(transport.written)


@pytest.mark.parametrize("case", [pytest.param(each, id=each.name) for each in CASES if MARKED not in each.sent[-100:]])
@pytest.mark.uncounted
async def test_a_request_is_parsed_by_its_framing_wherever_its_bytes_are_split(case: Case) -> None:
    sent = case.sent + marked("next", "Connection: close")
    seen = [*case.seen, NEXT] if case.is_open else [*case.seen]
    step = times(fast=5, slow=1)
    for at in range(len(case.name) % step, len(sent), step):
        asked, _ = await feed(sent[:at], sent[at:])

        assert (at, asked.seen) == (at, seen)


async def test_a_trailer_is_no_header() -> None:
    lines = ("Transfer-Encoding: chunked",)
    asked, _ = await feed(head("POST /", *lines) + b"0\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n")

    assert asked.headers == [[(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]]


async def test_a_protocol_that_was_not_offered_is_not_selected() -> None:
    asked, _ = await feed(head("GET /", "Upgrade: h2c", "Connection: Upgrade", "A: b"))

    assert asked.headers == [[(b"host", b"localhost"), (b"connection", b"Upgrade"), (b"a", b"b")]]


async def test_a_websocket_without_connection_init_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def waits(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(timeouts, "REQUEST_S", 0.01)
    CONFIG.loaded_app = waits
    state, transport = ServerState(), Transport()
    transport.protocol = HttpProtocol(CONFIG, state, STATE)
    transport.protocol.connection_made(transport)
    transport.protocol.data_received(HANDSHAKE)

    async with asyncio.timeout(PATIENCE_S):
        await transport.is_aborted.wait()
    transport.protocol.connection_lost(None)
    for task in state.tasks:
        task.cancel()
