"""The primary of a PostgreSQL is killed, and its standby takes over: nothing is lost, and nobody restarts a server."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from gateway.store.schema.migrate import migrate
from tests.effort import times
from tests.faults.pair import pair
from tests.following import PATIENCE_S
from tests.live.server import serving
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.faults.pair import Node

pytestmark = pytest.mark.uncounted

WRITERS: Final = 14
LISTENERS: Final = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gateway hints'"


class Writers:
    """Writers that go on whatever they are answered, and what was acknowledged to them."""

    def __init__(self, http: httpx.AsyncClient, threads: list[str]) -> None:
        self._http = http
        self._threads = threads
        self.acknowledged: dict[str, list[str]] = defaultdict(list)
        self.last_at = 0.0
        self.statuses: set[int] = set()
        self._is_over = False

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write for as long as the block, and then until what was sent is acknowledged."""
        async with asyncio.TaskGroup() as running:
            for thread_id in self._threads:
                running.create_task(self._write_to(thread_id))
            try:
                yield
            finally:
                self._is_over = True

    async def _write_to(self, thread_id: str) -> None:
        while not self._is_over:
            key = {"Idempotency-Key": str(uuid.uuid4())}
            message_id = None
            while message_id is None:
                message_id = await self._create(thread_id, key)
            self.acknowledged[thread_id].append(message_id)
            self.last_at = time.monotonic()

    async def _create(self, thread_id: str, key: dict[str, str]) -> str | None:
        body = {"role": "user", "content": "Hello"}
        answer = await self._http.post(f"/v1/threads/{thread_id}/messages", json=body, headers=key)
        self.statuses.add(answer.status_code)
        if answer.status_code == 200:
            message_id: str = answer.json()["id"]
            return message_id
        await asyncio.sleep(0.02)
        return None

    def count(self) -> int:
        """Count what was acknowledged."""
        return sum(map(len, self.acknowledged.values()))

    async def first_after(self, moment: float) -> float:
        """Wait for the first acknowledgement after a moment; return how long that took."""
        await until(lambda: self.last_at > moment)
        return self.last_at - moment


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  (there is no event to wait for)
            await asyncio.sleep(0.005)


async def stored(http: httpx.AsyncClient, thread_id: str) -> list[str]:
    """Read the ids of all messages of a thread."""
    found: list[str] = []
    while True:
        after = {"after": found[-1]} if found else {}
        answer = await http.get(f"/v1/threads/{thread_id}/messages", params={"limit": 100, "order": "asc", **after})
        page = answer.raise_for_status().json()
        found += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            return found


async def kill_and_promote(primary: Node, standby: Node, writers: Writers) -> float:
    """Let the standby take over while writers write; return how long they waited after that."""
    await until(lambda: writers.count() > times(fast=100, slow=2_000))
    await asyncio.to_thread(primary.kill)
    await until(lambda: 503 in writers.statuses)
    await asyncio.to_thread(standby.promote)
    waited_s = await writers.first_after(time.monotonic())
    count = writers.count()
    await until(lambda: writers.count() > count + times(fast=50, slow=1_000))
    return waited_s


async def test_nothing_acknowledged_is_lost_when_a_standby_takes_over(tmp_path: Path) -> None:
    with pair() as (primary, standby):
        await migrate(primary.url)
        url = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
        with serving(url, folder=tmp_path) as server:
            async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
                threads = [(await http.post("/v1/threads")).json()["id"] for _ in range(WRITERS)]
                writers = Writers(http, threads)
                async with writers.writing():
                    waited_s = await kill_and_promote(primary, standby, writers)
                found = [await stored(http, thread_id) for thread_id in threads]
                await until(lambda: standby.sql(LISTENERS) == "1")
                ready = await http.get("/readyz")

    assert [writers.acknowledged[thread] for thread in threads] == found  # nothing is lost, and nothing there twice
    assert waited_s < patience(2)
    assert writers.statuses <= {200, 503}
    assert ready.status_code == 200
