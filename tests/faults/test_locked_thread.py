"""A fault of one thread stays there: a stranger who locks it stops its writers, and nobody else."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import httpx
import pytest

from gateway.errors import Unavailable
from gateway.store.connections import ConnectionPool
from gateway.store.engines import base
from gateway.store.transactions import Transactions
from gateway.store.turns import AT_ONCE, MAX_WAITING, Turns
from tests.following import PATIENCE_S
from tests.live.server import serving
from tests.pace import SLOWNESS, patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

LOCK: Final = "SELECT 1 FROM threads WHERE id = $1 FOR UPDATE"
WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
# All of them within the time of the lock, also on a slow machine.
ROUNDS: Final = max(2, round(25 / SLOWNESS))
HELLO: Final = {"role": "user", "content": "Hello"}


@pytest.fixture
async def stranger(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def test_writers_of_a_locked_thread_are_refused_while_it_is_locked(
    postgres_url: str, stranger: asyncpg.Connection, tmp_path: Path
) -> None:
    with serving(postgres_url, folder=tmp_path) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
            locked, _, message = await two_threads(http)
            async with stranger.transaction():
                await stranger.execute(LOCK, locked.rpartition("/")[2])
                refused = await asyncio.gather(*writers(http, locked, message))
            after = await http.post(f"{locked}/messages", json=HELLO)

    assert {answer.status_code for answer in refused} == {503}
    assert {answer.json()["error"]["message"].partition(",")[0] for answer in refused} == {
        "The thread is locked by another transaction"
    }
    assert after.status_code == 200


async def test_nobody_else_waits_while_writers_wait_for_a_locked_thread(
    postgres_url: str, stranger: asyncpg.Connection, tmp_path: Path
) -> None:
    given = {"GATEWAY_LOCK_TIMEOUT_S": "60", "GATEWAY_STATEMENT_TIMEOUT_S": "60"}
    with serving(postgres_url, folder=tmp_path, given=given) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
            locked, other, message = await two_threads(http)
            async with stranger.transaction():
                await stranger.execute(LOCK, locked.rpartition("/")[2])
                writing = [asyncio.create_task(each) for each in writers(http, locked, message)]
                await until_waiting(postgres_url)
                others = [answer for _ in range(ROUNDS) for answer in await ask_others(http, locked, other)]
                waiting = await stranger.fetchval(WAITING)
            await asyncio.gather(*writing)

    # Who waited for the writers was not answered before the lock was released.
    assert waiting > 0
    assert {answer.status_code for answer in others} == {200}


async def two_threads(http: httpx.AsyncClient) -> tuple[str, str, str]:
    """Create two threads; return their paths, and the id of a message of the first."""
    first, other = [f"/v1/threads/{(await http.post('/v1/threads')).json()['id']}" for _ in range(2)]
    return first, other, (await http.post(f"{first}/messages", json=HELLO)).json()["id"]


def writers(http: httpx.AsyncClient, thread: str, message: str) -> list[Coroutine[Any, Any, httpx.Response]]:
    """Add messages to a thread and change one of it, more at once than the thread has turns."""
    adding = [http.post(f"{thread}/messages", json=HELLO) for _ in range(10)]
    return adding + [http.post(f"{thread}/messages/{message}", json={}) for _ in range(10)]


async def ask_others(http: httpx.AsyncClient, locked: str, other: str) -> list[httpx.Response]:
    """Read both threads, ask whether the server is ready, and write to the thread that is not locked."""
    reads = [await http.get(path) for path in (f"{other}/messages", f"{locked}/messages", "/readyz")]
    return [*reads, await http.post(f"{other}/messages", json=HELLO)]


async def test_a_server_that_is_frozen_within_a_transaction_releases_its_thread(
    postgres_url: str, stranger: asyncpg.Connection, tmp_path: Path
) -> None:
    given = {"GATEWAY_LOCK_TIMEOUT_S": "60", "GATEWAY_IDLE_TRANSACTION_TIMEOUT_S": "0.5"}
    with serving(postgres_url, folder=tmp_path, given=given) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
            thread = (await http.post("/v1/threads")).json()["id"]
            message = (await http.post(f"/v1/threads/{thread}/messages", json=HELLO)).json()["id"]
            async with stranger.transaction():
                await stranger.execute("SELECT 1 FROM messages WHERE id = $1 FOR UPDATE", message)
                path = f"/v1/threads/{thread}/messages/{message}"
                writing = asyncio.create_task(http.post(path, json={"metadata": {"a": "b"}}))
                await until_waiting(postgres_url)
                server.process.send_signal(signal.SIGSTOP)
            # Its statement ends now, and what would end its transaction does not come.
            started = time.monotonic()
            async with stranger.transaction():
                await stranger.execute(LOCK, thread)
            released_s = time.monotonic() - started
            server.process.send_signal(signal.SIGCONT)
            answer = await writing
            again = await http.post(path, json={"metadata": {"a": "c"}})

    assert 0.2 < released_s < patience(5)  # not at once, so the thread was locked
    assert (answer.status_code, again.status_code) == (503, 200)


async def until_waiting(url: str) -> None:
    """Wait until a transaction of the server waits for a lock: it has locked the thread before."""
    connection = await asyncpg.connect(url)
    async with asyncio.timeout(PATIENCE_S):
        while not await connection.fetchval(WAITING):  # noqa: ASYNC110  (there is no event to wait for)
            await asyncio.sleep(0.01)
    await connection.close()


async def test_a_thread_has_a_bounded_queue_of_its_own() -> None:
    turns = Turns()
    is_free = asyncio.Event()

    async def write(key: str) -> None:
        if not turns.begin(key):
            await turns.wait(key)
        await is_free.wait()
        turns.end(key)

    writing = [asyncio.create_task(write("thread")) for _ in range(AT_ONCE + MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="100 writes to this thread wait"):
        await write("thread")
    other = asyncio.create_task(write("other"))
    writing[-1].cancel()
    is_free.set()
    await asyncio.gather(other, *writing, return_exceptions=True)

    assert (turns.running, turns.waiting) == ({}, {})


async def test_a_writer_whose_turn_does_not_come_in_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "WAIT_S", 0.01)
    turns = Turns()
    for _ in range(AT_ONCE):
        assert turns.begin("thread")

    with pytest.raises(Unavailable, match="took too long"):
        await turns.wait("thread")
    for _ in range(AT_ONCE):
        turns.end("thread")

    assert (turns.running, turns.waiting) == ({}, {})


async def test_a_write_waits_for_its_turn_and_for_a_connection_as_long_as_for_one_of_them() -> None:
    turns, pool = Turns(), ConnectionPool[Any](asyncio.Event().wait, 1)  # which never connects
    now = asyncio.get_running_loop().time()
    for _ in range(AT_ONCE):
        assert turns.begin("thread")

    waiting = asyncio.create_task(turns.wait("thread"))
    await asyncio.sleep(0)
    turns.end("thread")
    until = await waiting
    with pytest.raises(TimeoutError):
        await Transactions(pool).run(_nothing, now)

    assert now + base.WAIT_S <= until < asyncio.get_running_loop().time() + base.WAIT_S
    assert pool.open == 0


async def _nothing(_connection: object) -> None:
    pass
