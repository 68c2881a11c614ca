"""Many subscribers of the list of threads, through a restart and reconnections: each ends with a fresh query's list."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.effort import chance, times
from tests.following import PATIENCE_S
from tests.live.subscribing import socket_to, stream_of
from tests.live.test_soak import CUT_OFF, TLS, Servers, post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from random import Random

SUBSCRIBERS: Final = times(fast=12, slow=200)
CHANGES: Final = times(fast=150, slow=10_000)
THREADS: Final = times(fast=8, slow=60)
WRITERS: Final = 4
LISTED: Final = "fragment Listed on Thread { id metadata messages(first: 1) { nodes { id text } totalCount } }"
LIST: Final = "{ threads(first: 100) { eventCursor nodes { ...Listed } } } " + LISTED
CHANGED: Final = (
    """subscription($after: String) { threadListEvents(after: $after) {
  ... on ThreadCreated { cursor thread { ...Listed } }
  ... on ThreadMoved { cursor thread { ...Listed } }
  ... on ThreadUpdated { cursor thread { ...Listed } }
  ... on ThreadDeleted { cursor threadId } } } """
    + LISTED
)


@dataclass
class Sidebar:
    """A client that shows the list: it reads it once, follows it, and resumes after its last cursor."""

    servers: Servers
    dice: Random
    over_ws: bool
    held: dict[str, Any] = field(default_factory=dict)
    cursor: str = ""
    cuts: int = 0
    cut: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, http: httpx.AsyncClient) -> None:
        self.held, self.cursor = await fresh(http, self.servers, self.dice)
        while True:
            following = asyncio.create_task(self._follow())
            cut = asyncio.create_task(self.cut.wait())
            try:
                await asyncio.wait([following, cut], return_when=asyncio.FIRST_COMPLETED)
            finally:
                following.cancel()
                cut.cancel()
                ended = await asyncio.gather(following, cut, return_exceptions=True)
            self.cut.clear()
            self.cuts += 1
            if not isinstance(ended[0], (*CUT_OFF, asyncio.CancelledError)):
                raise AssertionError(ended[0])  # noqa: TRY004  (the test fails)
            await asyncio.sleep(0.05)

    async def _follow(self) -> None:
        url = self.servers.any_url(self.dice)
        async for event in self._over_ws(url) if self.over_ws else self._over_sse(url):
            self.cursor = event["cursor"]
            if "thread" in event:
                self.held[event["thread"]["id"]] = event["thread"]
            else:
                self.held.pop(event["threadId"], None)
        raise ConnectionError

    async def _over_ws(self, url: str) -> AsyncIterator[dict[str, Any]]:
        async with socket_to(url) as socket:
            await socket.subscribe(CHANGED, after=self.cursor)
            while True:
                yield (await socket.receive())["payload"]["data"]["threadListEvents"]

    async def _over_sse(self, url: str) -> AsyncIterator[dict[str, Any]]:
        async with (
            httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, verify=TLS) as http,
            stream_of(http, CHANGED, self.cursor) as events,
        ):
            async for each in events:
                yield each.data["data"]["threadListEvents"]


async def fresh(http: httpx.AsyncClient, servers: Servers, dice: Random) -> tuple[dict[str, Any], str]:
    """Read the list, and the cursor from which it can be followed."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(httpx.TransportError):
                asked = await http.post(f"{servers.any_url(dice)}/graphql", json={"query": LIST})
                found = asked.raise_for_status().json()["data"]["threads"]
                return {each["id"]: each for each in found["nodes"]}, found["eventCursor"]
            await asyncio.sleep(0.1)


async def write(http: httpx.AsyncClient, servers: Servers, dice: Random, threads: list[str]) -> None:
    """Make one change that the list shows."""
    what = dice.choices(["say", "note", "remove", "unsay"], [8, 2, 1, 2])[0]
    thread = dice.choice(threads)
    if what == "say":
        await post(http, servers, dice, f"/{thread}/messages", {"role": "user", "content": f"message {dice.random()}"})
    elif what == "note":
        await post(http, servers, dice, f"/{thread}", {"metadata": {"n": str(dice.random())}})
    elif what == "unsay":
        url = f"{servers.running[-1].base_url}/v1/threads/{thread}/messages"
        for each in (await http.get(url, params={"limit": "1"})).json().get("data", []):
            await http.delete(f"{url}/{each['id']}")
    else:
        threads.remove(thread)
        await http.delete(f"{servers.running[-1].base_url}/v1/threads/{thread}")
        threads.append((await post(http, servers, dice, "", {}))["id"])


async def keep_writing(http: httpx.AsyncClient, servers: Servers, dice: Random, threads: list[str], count: int) -> None:
    for _ in range(count):
        try:
            await write(http, servers, dice, threads)
        except (httpx.HTTPStatusError, httpx.TransportError):
            await asyncio.sleep(0.05)  # its thread was deleted, or its server


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_subscribers_of_the_list_end_with_what_a_fresh_query_has(database_url: str, tmp_path: Path) -> None:
    dice = chance(0)
    limits = httpx.Limits(max_connections=None)
    with ExitStack() as stack:
        servers = Servers(database_url, tmp_path, stack)
        for _ in range(2):
            await servers.start()
        async with httpx.AsyncClient(timeout=PATIENCE_S, verify=TLS, limits=limits) as http:
            threads = [(await post(http, servers, dice, "", {}))["id"] for _ in range(THREADS)]
            sidebars = [Sidebar(servers, chance(n), over_ws=n % 2 == 0) for n in range(SUBSCRIBERS)]
            following = [asyncio.create_task(each.run(http)) for each in sidebars]
            async with asyncio.timeout(PATIENCE_S):
                while not all(each.cursor for each in sidebars):  # noqa: ASYNC110  (each has read the list by itself)
                    await asyncio.sleep(0.01)
            share = CHANGES // WRITERS
            writing = [
                asyncio.create_task(keep_writing(http, servers, chance(n), threads, share)) for n in range(WRITERS)
            ]
            await asyncio.sleep(0.2)
            await servers.replace_one()
            for each in sidebars:
                each.cut.set()
                await asyncio.sleep(0.002)
            await asyncio.gather(*writing)

            expected, _ = await fresh(http, servers, dice)
            async with asyncio.timeout(PATIENCE_S * 2):
                while missing := [each for each in sidebars if each.held != expected or not each.cuts]:
                    failed = [each.exception() for each in following if each.done()]
                    assert not failed, failed
                    await asyncio.sleep(0.05 if len(missing) < SUBSCRIBERS else 0.2)
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
