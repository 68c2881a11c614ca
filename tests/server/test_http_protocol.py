from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.server.app_state import CLOSE_SUBSCRIPTIONS, REFUSAL_HEADERS
from gateway.server.http_protocol import HttpProtocol
from gateway.server.timeouts import CLOSE_S, REQUEST_S, WRITE_S


@dataclass
class Clock(asyncio.TimerHandle):
    """A loop with one timer, the last that was set, which fires on demand."""

    waits_s: float | None = None
    now: float = 0.0
    _call: Any = None

    def call_later(self, after_s: float, call: Any, *arguments: Any) -> Clock:
        self.waits_s, self._call = after_s, lambda: call(*arguments)
        return self

    def time(self) -> float:
        return self.now

    def create_task(self, coroutine: Any) -> Any:
        """Leave a request without an answer."""
        coroutine.close()

    def cancel(self) -> None:
        self.waits_s = None

    def ring(self) -> None:
        assert self.waits_s is not None
        self.now += self.waits_s
        self.waits_s = None
        self._call()


@dataclass
class Transport(asyncio.Transport):
    """A connection on which so much waits to be read."""

    unread: int = 1_000_000
    is_aborted: bool = False
    closed_at: float | None = None
    clock: Clock | None = None

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: Any) -> None:
        """Send nothing."""

    def close(self) -> None:
        """Wait for the client, as transports do."""
        assert self.clock is not None
        self.closed_at = self.clock.now

    def is_closing(self) -> bool:
        return self.closed_at is not None

    def write_eof(self) -> None:
        self.close()

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transport(clock: Clock) -> Transport:
    return Transport(clock=clock)


async def app(_scope: Any, _receive: Any, _send: Any) -> None:
    """Be never called."""


@pytest.fixture
def protocol(clock: Clock, transport: Transport) -> Any:
    config = uvicorn.Config(app, log_config=None, timeout_keep_alive=75)
    config.load()
    made: Any = HttpProtocol(
        config, ServerState(), {CLOSE_SUBSCRIPTIONS: lambda: None, REFUSAL_HEADERS: lambda *_: b""}, clock
    )
    made.connection_made(transport)
    return made


def test_a_client_that_reads_nothing_is_disconnected(protocol: Any, clock: Clock, transport: Transport) -> None:
    protocol.pause_writing()
    assert clock.waits_s == WRITE_S

    clock.ring()

    assert transport.is_aborted


def test_a_client_that_reads_slowly_is_not(protocol: Any, clock: Clock, transport: Transport) -> None:
    protocol.pause_writing()
    for _ in range(5):
        transport.unread -= 1
        clock.ring()

    assert not transport.is_aborted
    assert clock.waits_s == WRITE_S


@pytest.mark.parametrize("end", [lambda each: each.resume_writing(), lambda each: each.connection_lost(OSError())])
def test_no_timer_remains_for_a_client_that_has_read_or_disconnected(protocol: Any, clock: Clock, end: Any) -> None:
    protocol.pause_writing()

    end(protocol)

    assert clock.waits_s is None


@pytest.mark.parametrize("is_first", [True, False])
def test_once_the_server_stops_less_is_waited_for(protocol: Any, clock: Clock, *, is_first: bool) -> None:
    deeds = [protocol.pause_writing, protocol.shutdown]
    for deed in deeds if is_first else reversed(deeds):
        deed()

    assert clock.waits_s == CLOSE_S


def _answer_one(protocol: Any) -> None:
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    asyncio.run(protocol.cycle.respond(200, b"", b""))


def _ring_until_closed(clock: Clock, transport: Transport) -> float:
    while transport.closed_at is None:
        clock.ring()
    return transport.closed_at


def test_idle_connection_is_closed_after_the_time_for_keep_alive(
    protocol: Any, clock: Clock, transport: Transport
) -> None:
    clock.now = 1.0
    _answer_one(protocol)

    assert _ring_until_closed(clock, transport) == 1.0 + protocol.timeout_keep_alive


def test_connection_without_a_request_is_closed_after_the_time_for_one(
    protocol: Any, clock: Clock, transport: Transport
) -> None:
    assert protocol.cycle is None
    assert _ring_until_closed(clock, transport) == REQUEST_S


@pytest.mark.parametrize("begun_at", [0.0, 1.0, REQUEST_S - 1])
def test_head_on_an_idle_connection_has_its_time_and_no_more(
    protocol: Any, clock: Clock, transport: Transport, begun_at: float
) -> None:
    _answer_one(protocol)
    clock.now = begun_at
    protocol.data_received(b"GET / HTTP/1.1\r\n")
    clock.waits_s = REQUEST_S - begun_at  # the timer runs since the connection was made

    assert _ring_until_closed(clock, transport) == begun_at + REQUEST_S


def test_request_that_runs_is_not_timed(protocol: Any, clock: Clock, transport: Transport) -> None:
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    clock.ring()

    assert clock.waits_s is None
    assert transport.closed_at is None
