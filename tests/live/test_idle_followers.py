"""What a follower that waits costs: memory below a bound, and no connection to the database."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.store.engines.postgres import READS
from tests.following import PATIENCE_S
from tests.live.server import serving
from tests.live.subscribing import ADDED, socket_to

if TYPE_CHECKING:
    from tests.live.subscribing import Socket

FOLLOWERS = 1_000
MOST_BYTES = 19_000  # of one follower; measured: 15,400
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [each for each in status.splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


async def connections_to(url: str) -> int:
    """Count the connections to a database, without our own."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        found: int = (await connection.execute(text(count))).scalar_one()
    await engine.dispose()
    return found


async def heard(sockets: list[Socket]) -> set[str]:
    """Wait until all have heard one message: so they wait again for the next."""
    return {found for each in await asyncio.gather(*(socket.texts(1) for socket in sockets)) for found in each}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_a_thousand_idle_followers_cost_little_memory_and_no_connections(
    database_url: str, tmp_path: Path
) -> None:
    with serving(database_url, folder=tmp_path, is_forked=False) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http, AsyncExitStack() as stack:
            threads = [(await http.post("/v1/threads")).json()["id"] for _ in range(10)]

            async def follow(thread_id: str, count: int) -> list[Socket]:
                """Connect one after the other, so that nobody waits long for the server."""
                sockets = []
                for _ in range(count):
                    to_server = socket_to(server.base_url, compression="deflate", ping_interval=None)
                    sockets.append(await stack.enter_async_context(to_server))
                    await sockets[-1].subscribe(ADDED, threadId=thread_id, after="0")
                return sockets

            async def say(word: str) -> None:
                body = {"role": "user", "content": word}
                for thread_id in threads:
                    (await http.post(f"/v1/threads/{thread_id}/messages", json=body)).raise_for_status()

            warm = [await follow(thread_id, 10) for thread_id in threads]
            await say("1")
            assert await heard([socket for each in warm for socket in each]) == {"1"}
            before = resident_bytes(server.process.pid)
            more = [await follow(thread_id, FOLLOWERS // 10) for thread_id in threads]
            await heard([socket for each in more for socket in each])
            after = resident_bytes(server.process.pid)
            connections = await connections_to(database_url) if database_url.startswith("postgresql") else 0

    each_takes = (after - before) / FOLLOWERS
    print(f"{each_takes:.0f} bytes a follower, {connections} connections")  # noqa: T201  (the figure)
    assert each_takes < MOST_BYTES
    assert connections <= READS + 2  # the pool, one that wrote, and the one that listens
