from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.store.engines.base import Timeouts
from gateway.store.statement_cache import Prepared, StatementCache
from gateway.store.statements import selected_threads, threads
from gateway.store.store import open_store
from tests.graphql.serving import RESPONSE, URL, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx
    from sqlalchemy.ext.asyncio import AsyncConnection

    from gateway.store.statement_cache import Build
    from gateway.store.store import Store

pytestmark = pytest.mark.counted

DEADLINE_S = 1.0
CREATE = """mutation ($t: ID!) {
  createMessage(input: { threadId: $t, role: USER, content: { text: "a" } }) { message { id } }
}"""
COUNT = "query ($t: ID!) { thread(id: $t) { messages { totalCount } } }"
READS = [
    pytest.param("{ threads { nodes { id } } }", id="a resolver"),
    pytest.param("query ($t: ID!) { node(id: $t) { id } }", id="a loader"),
]


@pytest.fixture
async def sqlite_store(sqlite_url: str) -> AsyncIterator[Store]:
    opened = open_store(sqlite_url)
    yield opened
    await opened.close()


@pytest.fixture
async def postgres_store(postgres_url: str) -> AsyncIterator[Store]:
    # A lock is waited for until the deadline, on a machine that is busy, too.
    opened = open_store(postgres_url, timeouts=Timeouts(lock_s=60, statement_s=60))
    yield opened
    await opened.close()


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[Running]:
    """Hold all threads and messages of a PostgreSQL database, so that each statement waits."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as holder, engine.connect() as onlooker:
        await holder.execute(text("LOCK TABLE threads, messages IN ACCESS EXCLUSIVE MODE"))
        yield Running(await onlooker.execution_options(isolation_level="AUTOCOMMIT"))
        await holder.rollback()
    await engine.dispose()


@dataclass(frozen=True)
class Running:
    """The statements that wait for the lock; not within a transaction, whose snapshot would be stale."""

    onlooker: AsyncConnection

    async def becomes(self, expected: int) -> bool:
        """Wait until so many statements run, for some seconds."""
        others = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        for _ in range(100):
            if (await self.onlooker.execute(others)).scalar_one() == expected:
                return True
            await asyncio.sleep(0.05)
        return False


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Be the one who writes to a SQLite database."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


@contextmanager
def endless_reads() -> Iterator[None]:
    """Let SQLite count for hours instead of reading threads."""
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000000)"
    count = Prepared(f"{numbers} SELECT count(*) FROM n", (), lambda values: values)  # noqa: S608
    prepared = StatementCache.prepared

    def counting(cache: StatementCache, build: Build, arguments: tuple[Any, ...]) -> Any:
        is_of_threads = build.__module__ in (selected_threads.__name__, threads.__name__)
        return (count, ()) if is_of_threads else prepared(cache, build, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StatementCache, "prepared", counting)
        yield


async def make_thread(http: httpx.AsyncClient) -> str:
    made: dict[str, Any] = (await http.post("/v1/threads")).json()
    thread_id: str = made["id"]
    return thread_id


async def send(http: httpx.AsyncClient, query: str, thread_id: str) -> httpx.Response:
    return await http.post(URL, json={"query": query, "variables": {"t": thread_id}}, headers=RESPONSE)


def assert_cut_off(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "deadline_exceeded"
    assert "data" not in answer.json()


@pytest.mark.parametrize("query", [*READS, pytest.param(CREATE, id="a mutation")])
async def test_deadline_cancels_the_statement_on_postgres(postgres_store: Store, postgres_url: str, query: str) -> None:
    async with serving(postgres_store, timeout_s=DEADLINE_S) as http:
        thread_id = await make_thread(http)

        async with locked(postgres_url) as running:
            request = asyncio.create_task(send(http, query, thread_id))
            has_waited = await running.becomes(1)
            answer = await request
            has_stopped = await running.becomes(0)

    assert_cut_off(answer)
    assert (has_waited, has_stopped) == (True, True)


async def test_postgres_connection_is_usable_after_a_deadline(postgres_store: Store, postgres_url: str) -> None:
    async with serving(postgres_store, timeout_s=DEADLINE_S) as http:
        thread_id = await make_thread(http)
        async with locked(postgres_url):
            answers = [await send(http, query, thread_id) for query in (CREATE, COUNT, CREATE)]

        await send(http, CREATE, thread_id)
        counted = await send(http, COUNT, thread_id)

    for answer in answers:
        assert_cut_off(answer)
    assert counted.json()["data"]["thread"]["messages"]["totalCount"] == 1


async def test_sqlite_connection_is_usable_after_a_deadline(sqlite_store: Store, sqlite_url: str) -> None:
    async with serving(sqlite_store, timeout_s=DEADLINE_S) as http:
        thread_id = await make_thread(http)
        with writing(sqlite_url):
            answers = [await send(http, CREATE, thread_id) for _ in range(2)]

        async with serving(sqlite_store) as patient:
            await send(patient, CREATE, thread_id)
            counted = await send(patient, COUNT, thread_id)

    for answer in answers:
        assert_cut_off(answer)
    assert counted.json()["data"]["thread"]["messages"]["totalCount"] == 1


@pytest.mark.parametrize("query", READS)
async def test_sqlite_deadline_ends_request_and_statement(sqlite_store: Store, query: str) -> None:
    async with serving(sqlite_store, timeout_s=0.1) as http:
        thread_id = await make_thread(http)
        with endless_reads():
            answer = await send(http, query, thread_id)
        for _ in range(300):
            if not sqlite_store.connections()["reader"]:
                break
            await asyncio.sleep(0.1)

    async with serving(sqlite_store) as patient:
        counted = await send(patient, COUNT, thread_id)

    assert_cut_off(answer)
    assert sqlite_store.connections()["reader"] == 0
    assert counted.json()["data"]["thread"]["messages"]["totalCount"] == 0


async def test_mutation_fields_before_the_deadline_are_committed(postgres_store: Store, postgres_url: str) -> None:
    query = """mutation ($t: ID!) {
      a: createMessage(input: { threadId: $t, role: USER, content: { text: "a" } }) { message { id } }
      b: updateThread(input: { id: "THREAD", metadata: { a: "b" } }) { thread { id } }
    }"""
    engine = create_async_engine(make_url(postgres_url).set(drivername="postgresql+asyncpg"))
    async with serving(postgres_store, timeout_s=1.0) as http:
        thread_id, held_id = await make_thread(http), await make_thread(http)
        async with engine.connect() as other:
            await other.execute(text("SELECT id FROM threads WHERE id = :id FOR UPDATE"), {"id": held_id})
            answer = await send(http, query.replace("THREAD", held_id), thread_id)
        counted = await send(http, COUNT, thread_id)
    await engine.dispose()

    assert_cut_off(answer)
    assert counted.json()["data"]["thread"]["messages"]["totalCount"] == 1


async def test_cancelled_request_cancels_its_operation(postgres_store: Store, postgres_url: str) -> None:
    async with serving(postgres_store) as http:
        thread_id = await make_thread(http)
        async with locked(postgres_url) as running:
            request = asyncio.create_task(send(http, CREATE, thread_id))
            has_waited = await running.becomes(1)
            request.cancel()
            await asyncio.wait({request})
            has_stopped = await running.becomes(0)

        counted = await send(http, COUNT, thread_id)

    assert (has_waited, has_stopped) == (True, True)
    assert counted.json()["data"]["thread"]["messages"]["totalCount"] == 0
