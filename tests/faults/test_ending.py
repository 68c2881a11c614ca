"""SIGTERM ends a server in time, whatever hangs in it or around it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Final

import httpx

from tests.faults.test_silence import serving_over_line
from tests.faults.test_workers import children_of, runs
from tests.following import PATIENCE_S
from tests.live.server import serving
from tests.live.test_stopping import begin_request
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.live.server import Server

SHUTDOWN_S: Final = 1
END_S: Final = SHUTDOWN_S + 2.0
LATE_S: Final = patience(0.5)  # to see that it has ended, on a machine that is busy
SHORT: Final = {"GATEWAY_SHUTDOWN_S": f"{SHUTDOWN_S}"}
# Nothing else may end what hangs: no deadline of a request, or of the database.
PATIENT: Final = {**SHORT, "GATEWAY_REST_TIMEOUT_S": "60"}


async def seconds_to_end(server: Server, how: signal.Signals = signal.SIGTERM) -> float:
    started = time.monotonic()
    server.process.send_signal(how)
    await asyncio.to_thread(server.process.wait, PATIENCE_S)
    return time.monotonic() - started


async def test_a_silent_database_does_not_hold_the_end_up(postgres_url: str, tmp_path: Path) -> None:
    async with serving_over_line(postgres_url, tmp_path, PATIENT) as (line, _, _, server):
        line.silence()
        async with writing(server):
            took_s = await seconds_to_end(server)

    assert took_s < END_S + LATE_S


async def test_a_thread_that_sqlite_keeps_does_not_hold_the_end_up(sqlite_url: str, tmp_path: Path) -> None:
    # SQLite's busy handler waits for 10 s, and cannot be interrupted.
    with serving(sqlite_url, folder=tmp_path, given=PATIENT) as server, closing(locked(sqlite_url)):
        async with writing(server):
            took_s = await seconds_to_end(server)

    assert SHUTDOWN_S < took_s < END_S + LATE_S
    assert "in run_batch" in server.stderr


@asynccontextmanager
async def writing(server: Server) -> AsyncIterator[None]:
    """Have a request that the server has begun to answer."""
    _, writer = await begin_request(server)
    writer.write(b"{}")
    yield
    writer.close()


def locked(url: str) -> sqlite3.Connection:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_an_event_loop_that_hangs_in_a_full_pipe_does_not_hold_the_end_up(
    sqlite_url: str, tmp_path: Path
) -> None:
    with serving(sqlite_url, folder=tmp_path, given=SHORT) as server, server.unread():
        await until_it_hangs(server)
        took_s = await seconds_to_end(server)

    assert took_s < END_S + LATE_S


async def until_it_hangs(server: Server) -> None:
    """Ask until the log that nobody reads is full, and the server hangs as it writes to it."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=1.0) as http:
        while True:
            try:
                await http.get("/nowhere")
            except httpx.TimeoutException:
                return


async def test_a_frozen_worker_does_not_hold_the_end_up(postgres_url: str, tmp_path: Path) -> None:
    with serving(postgres_url, folder=tmp_path, given={**SHORT, "GATEWAY_WORKERS": "2"}) as server:
        workers = await children_of(server.process.pid)
        os.kill(workers[0], signal.SIGSTOP)
        took_s = await seconds_to_end(server)

    assert took_s < END_S + LATE_S
    assert not any(map(runs, workers))
