"""A list whose filter scans too long ends at its deadline, or with its client, and then its connection is free."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.app import Limits, serve_store
from gateway.graphql.options import Options
from tests.effort import times
from tests.following import until
from tests.graphql.serving import RESPONSE, URL
from tests.graphql.test_deadline import endless_reads
from tests.live.inside import serving_inside
from tests.live.subscribing import socket_to

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.store.store import Store

    Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]

THREADS: Final = times(fast=50_000, slow=200_000)
# Half of them have one pair, half another, none both.
FILL: Final = r"""
INSERT INTO threads
  (project_id, id, created_at, metadata, tool_resources, message_count, last_position, last_created_at, activity_at)
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :threads)
SELECT 'default', 'thread_' || n, n, CASE n % 2 WHEN 0 THEN '{"a"\:"1"}' ELSE '{"b"\:"1"}' END,
  '{}', 0, 0, 0, n * 1000 FROM numbers
"""
# What triggers write of each of them takes PostgreSQL ten times as long as this.
WITHOUT_TRIGGERS: Final = "SET LOCAL session_replication_role = replica"
PAIRS_OF_ALL: Final = """
INSERT INTO thread_metadata (project_id, seq, key, value, created_at, activity_at)
SELECT project_id, seq, pair.key, pair.value, created_at, activity_at
FROM threads, jsonb_each_text(CAST(metadata AS jsonb)) AS pair
"""
AT_ONCE: Final = 8  # more than there are readers
LIST: Final = '{ threads(filter: {metadata: [{key: "a", equals: "1"}, {key: "b", equals: "1"}]}) { nodes { id } } }'
PAIRS: Final = {"metadata[a]": "1", "metadata[b]": "1"}
FACES: Final[dict[str, Ask]] = {
    "REST": lambda http: http.get("/v1/threads", params=PAIRS),
    "GraphQL": lambda http: http.post(URL, json={"query": LIST}, headers=RESPONSE),
}


def client(store: Store, timeout_s: float) -> httpx.AsyncClient:
    app = serve_store(store, Options(timeout_s=timeout_s), limits=Limits(timeout_s))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


async def fill(url: str) -> None:
    is_postgres = not url.startswith("sqlite")
    driver = "postgresql+asyncpg" if is_postgres else "sqlite+aiosqlite"
    engine = create_async_engine(make_url(url).set(drivername=driver))
    async with engine.begin() as connection:
        if is_postgres:
            await connection.execute(text(WITHOUT_TRIGGERS))
        await connection.execute(text(FILL), {"threads": THREADS})
        if is_postgres:
            await connection.execute(text(PAIRS_OF_ALL))
        await connection.execute(text("ANALYZE"))
    await engine.dispose()


async def seconds_of(waiting: Awaitable[Any]) -> float:
    started = time.monotonic()
    await waiting
    return time.monotonic() - started


async def test_scans_at_their_deadline_leave_the_readers_to_others(store: Store, database_url: str) -> None:
    await fill(database_url)
    patient = client(store, 60)
    for face, ask in FACES.items():
        full_s = min([await seconds_of(ask(patient)) for _ in range(3)])
        hurried = client(store, full_s / 20)

        # Statements that ran on would take several times as long as one.
        waited_s = min([await seconds_of(scan_and_look_up(ask, hurried, patient)) for _ in range(5)])

        assert waited_s < full_s, face


async def scan_and_look_up(ask: Ask, hurried: httpx.AsyncClient, patient: httpx.AsyncClient) -> None:
    for answer in await asyncio.gather(*(ask(hurried) for _ in range(AT_ONCE))):
        assert answer.status_code == 503
        assert "deadline_exceeded" in answer.text
    assert (await patient.get("/v1/threads/thread_1")).status_code == 200


@pytest.mark.parametrize("leave", ["complete", "hang up"])
async def test_operation_that_a_socket_leaves_ends_its_statement(sqlite_url: str, leave: str) -> None:
    async with serving_inside(sqlite_url) as inside, socket_to(inside.base_url) as socket:
        with endless_reads():
            await socket.subscribe("{ threads { nodes { id } } }")
            await until(lambda: inside.store.connections()["reader"] == 1)
            await (socket.raw.close() if leave == "hang up" else socket.send("complete", id="1"))

            await until(lambda: inside.store.connections()["reader"] == 0)
