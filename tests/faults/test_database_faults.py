"""The disk of a database is full, its file is damaged, its server only reads: that is said, and heals by itself."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import httpx

from gateway.errors import Unavailable
from gateway.store.faults import Faults
from tests.faults.filling import fill
from tests.following import PATIENCE_S
from tests.live.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from tests.live.server import Server

LONG: Final = {"role": "user", "content": "x" * 100_000}
PAGE: Final = 4_096
FULL: Final = "The disk of the database is full. Please send the request again."
DAMAGED: Final = "The database file is damaged: its operator has to restore or repair it."
READ_ONLY: Final = (
    "The database server accepts no writes now: it is read-only or a standby. Please send the request again."
)


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """Have a thread, and a client."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
        thread_id = (await http.post("/v1/threads")).json()["id"]
        yield http, f"/v1/threads/{thread_id}/messages"


async def failed(http: httpx.AsyncClient) -> dict[str, str]:
    answer = await http.get("/readyz")
    assert (answer.status_code == 503) == ("failed" in answer.json())
    found: dict[str, str] = answer.json().get("failed", {})
    return found


async def until_failed(http: httpx.AsyncClient, *names: str) -> dict[str, str]:
    """Ask, and do nothing else, until the server says that this is what fails; return its reasons."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := await failed(http)).keys() != set(names):  # noqa: ASYNC110  (nobody else tells)
            await asyncio.sleep(0.02)
    return found


def refusal(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()["error"]["message"]


async def test_a_full_disk_is_named_until_there_is_space(small_disk: Path, tmp_path: Path) -> None:
    filler, flags = small_disk / "filler", ("--min-free-mb", "2")
    with serving(f"sqlite:///{small_disk}/threads.db", *flags, folder=tmp_path) as server:
        async with asking(server) as (http, messages):
            assert await failed(http) == {}
            fill(filler)
            refused = [refusal(await http.post(messages, json=LONG)) for _ in range(3)]
            reasons = await until_failed(http, "writes", "disk")
            read = await http.get(messages)
            filler.unlink()
            await until_failed(http)
            written = await http.post(messages, json=LONG)
        server.stop()

    assert refused == [(503, FULL)] * 3
    assert reasons == {"writes": FULL, "disk": "0 MB are free, less than GATEWAY_MIN_FREE_MB (2)."}
    assert (read.status_code, written.status_code) == (200, 200)
    assert "database fault SQLITE_FULL: OperationalError: database or disk is full" in server.stderr
    assert "the database accepts writes again" in server.stderr


async def test_a_damaged_file_is_named_until_it_is_restored(sqlite_url: str, tmp_path: Path) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with serving(sqlite_url, folder=tmp_path) as server:
        async with asking(server) as (http, messages):
            whole = empty_log(file)
            overwrite(file, whole[:100] + b"\xff" * (len(whole) - 100))
            refused = [refusal(await http.get(messages)), refusal(await http.post(messages, json=LONG))]
            reasons = await until_failed(http, "database")
            overwrite(file, whole)
            await until_failed(http)
            written = await http.post(messages, json=LONG)
        server.stop()

    assert refused == [(503, DAMAGED)] * 2
    assert reasons == {"database": DAMAGED}
    assert written.status_code == 200
    assert "database fault SQLITE_CORRUPT: " in server.stderr


def overwrite(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def empty_log(file: Path) -> bytes:
    """Write into the file what its log has, so that no connection trusts what it has read; return the file."""
    with sqlite3.connect(file) as other:
        other.execute("UPDATE threads SET metadata = metadata || ' '")
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    return file.read_bytes()


async def test_a_server_that_takes_no_writes_is_named_until_it_does(postgres_url: str, tmp_path: Path) -> None:
    owner = await asyncpg.connect(postgres_url)
    name = await owner.fetchval("SELECT current_database()")
    with serving(postgres_url, folder=tmp_path) as server:
        async with asking(server) as (http, messages):
            await owner.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
            await end_others(owner)
            refused = await until_refused(http, messages)
            reasons = await until_failed(http, "writes")
            read = await http.get(messages)
            await owner.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            await until_failed(http)
            written = await http.post(messages, json=LONG)
        server.stop()
    await owner.close()

    assert refused == (503, READ_ONLY)
    assert reasons == {"writes": READ_ONLY}
    assert (read.status_code, written.status_code) == (200, 200)
    assert server.stderr.count("database fault 25006: ReadOnlySQLTransactionError: ") >= 1


async def end_others(owner: asyncpg.Connection) -> None:
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def until_refused(http: httpx.AsyncClient, messages: str) -> tuple[int, Any]:
    """Write until that is refused by the server, and not for a connection that has just ended."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await http.post(messages, json=LONG)
            if answer.status_code != 200 and "cannot answer" not in answer.text:
                return refusal(answer)


def test_a_kind_of_fault_is_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults()
    caplog.set_level(logging.WARNING)

    for error in (ConnectionResetError("1"), ConnectionResetError("2"), BrokenPipeError("3"), TimeoutError("4")):
        assert isinstance(faults.translate(error), Unavailable)
    reason = faults.reason
    faults.on_write()
    faults.on_write()

    assert caplog.messages == [
        "database fault ConnectionResetError: ConnectionResetError: 1",
        "database fault BrokenPipeError: BrokenPipeError: 3",
        "the database accepts writes again",
    ]
    assert (reason, faults.reason) == ("The database cannot answer now. Please send the request again.", None)
