from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.server.app_state import CLOSE_SUBSCRIPTIONS
from gateway.server.http_protocol import HttpProtocol
from gateway.server.timeouts import CLOSE_S, WRITE_S


@dataclass
class Clock(asyncio.TimerHandle):
    """A loop with one timer, the last that was set, which fires on demand."""

    waits_s: float | None = None
    _call: Any = None

    def call_later(self, after_s: float, call: Any, *arguments: Any) -> Clock:
        self.waits_s, self._call = after_s, lambda: call(*arguments)
        return self

    def time(self) -> float:
        return 0.0

    def cancel(self) -> None:
        self.waits_s = None

    def ring(self) -> None:
        assert self.waits_s is not None
        self.waits_s = None
        self._call()


@dataclass
class Transport(asyncio.Transport):
    """A connection on which so much waits to be read."""

    unread: int = 1_000_000
    is_aborted: bool = False

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return self.unread

    def close(self) -> None:
        """Wait for the client, as transports do."""

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transport() -> Transport:
    return Transport()


async def app(_scope: Any, _receive: Any, _send: Any) -> None:
    """Be never called."""


@pytest.fixture
def protocol(clock: Clock, transport: Transport) -> Any:
    config = uvicorn.Config(app, log_config=None)
    config.load()
    made: Any = HttpProtocol(config, ServerState(), {CLOSE_SUBSCRIPTIONS: lambda: None}, clock)
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
