"""Many followers over both transports, cut off at random, through the death of a server: each hears its thread."""

from __future__ import annotations

import asyncio
import random
import ssl
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from websockets.exceptions import WebSocketException

from tests.following import PATIENCE_S
from tests.live.server import Server, serving
from tests.live.subscribing import ADDED, socket_to, stream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

END: Final = "the end"
OF_ONE_THREAD: Final = 10  # followers
TLS: Final = ssl.create_default_context()  # nobody needs it, but each client would read all certificates anew
CUT_OFF: Final = (OSError, TimeoutError, WebSocketException, httpx.TransportError)


@dataclass
class Servers:
    """Processes on one database, one of which dies on the way."""

    url: str
    folder: Path
    stack: ExitStack
    running: list[Server] = field(default_factory=list)

    async def start(self) -> None:
        started = serving(self.url, folder=self.folder)
        self.running.append(await asyncio.to_thread(self.stack.enter_context, started))

    async def replace_one(self) -> None:
        """Kill the first, and start another in its place."""
        await asyncio.to_thread(self.running.pop(0).kill)
        await self.start()

    def any_url(self, dice: random.Random) -> str:
        return dice.choice(self.running).base_url if self.running else "http://127.0.0.1:9"  # nobody: ask again


@dataclass
class Follower:
    """A client that follows one thread, over one transport, and comes back whenever it was cut off."""

    servers: Servers
    thread_id: str
    dice: random.Random
    over_ws: bool
    transcript: list[str] = field(default_factory=list)
    cuts: int = 0

    async def follow(self) -> None:
        is_done = False
        while not is_done:
            try:
                is_done = await self._follow_for_a_while()
            except CUT_OFF:
                await asyncio.sleep(0.1)  # as clients do before they come back
            self.cuts += not is_done

    async def _follow_for_a_while(self) -> bool:
        """Say whether the end has come."""
        patience = self.dice.randint(1, 60)
        after = self.transcript[-1] if self.transcript else "0"
        url = self.servers.any_url(self.dice)
        edges = self._over_ws(url, after) if self.over_ws else self._over_sse(url, after)
        async for edge in edges:
            self.transcript.append(edge["cursor"])
            if edge["node"]["text"] == END:
                await edges.aclose()  # type: ignore[attr-defined]  # it is a generator
                return True
            patience -= 1
            if not patience:
                break
        await edges.aclose()  # type: ignore[attr-defined]  # it is a generator
        return False

    async def _over_ws(self, url: str, after: str) -> AsyncIterator[dict[str, Any]]:
        async with socket_to(url) as socket:
            await socket.subscribe(ADDED, threadId=self.thread_id, after=after)
            while True:
                yield (await socket.receive())["payload"]["data"]["messageAdded"]

    async def _over_sse(self, url: str, after: str) -> AsyncIterator[dict[str, Any]]:
        async with (
            httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, verify=TLS) as http,
            stream_of(http, ADDED, after, threadId=self.thread_id) as events,
        ):
            async for each in events:
                yield each.data["data"]["messageAdded"]


async def post(http: httpx.AsyncClient, servers: Servers, dice: random.Random, path: str, body: Any) -> Any:
    """Send a request until a server has answered it; it may then have been done twice, as with any client."""
    async with asyncio.timeout(PATIENCE_S * 4):
        while True:
            with suppress(httpx.TransportError):
                answer = await http.post(f"{servers.any_url(dice)}/v1/threads{path}", json=body)
                return answer.raise_for_status().json()
            await asyncio.sleep(0.1)


async def ids_in(http: httpx.AsyncClient, servers: Servers, thread_id: str) -> list[str]:
    found: list[str] = []
    page: dict[str, Any] = {"has_more": True}
    while page["has_more"]:
        asked = {"order": "asc", "limit": "100"} | ({"after": found[-1]} if found else {})
        url = f"{servers.running[0].base_url}/v1/threads/{thread_id}/messages"
        page = (await http.get(url, params=asked)).raise_for_status().json()
        found += [each["id"] for each in page["data"]]
    return found


async def soak(servers: Servers, followers: int, messages: int) -> list[Follower]:
    """Write messages to threads while they are followed, and check each follower's transcript against its thread."""
    dice = random.Random(7)  # noqa: S311  (the same each time, to be found again)
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        thread_ids = [(await post(http, servers, dice, "", {}))["id"] for _ in range(followers // OF_ONE_THREAD or 1)]
        clients = [
            Follower(servers, thread_ids[n % len(thread_ids)], random.Random(n), over_ws=bool(n // len(thread_ids) % 2))  # noqa: S311
            for n in range(followers)
        ]
        following = [asyncio.create_task(each.follow()) for each in clients]

        async def write(thread_id: str, count: int) -> None:
            for n in range(count):
                await post(http, servers, dice, f"/{thread_id}/messages", {"role": "user", "content": f"{n}"})

        each_gets = messages // len(thread_ids) // 2
        await asyncio.gather(*(write(thread_id, each_gets) for thread_id in thread_ids))
        await asyncio.gather(servers.replace_one(), *(write(thread_id, each_gets) for thread_id in thread_ids))
        for thread_id in thread_ids:
            await post(http, servers, dice, f"/{thread_id}/messages", {"role": "user", "content": END})
        async with asyncio.timeout(PATIENCE_S * 4):
            await asyncio.gather(*following)

        expected = {thread_id: await ids_in(http, servers, thread_id) for thread_id in thread_ids}
    for client in clients:
        # A message "the end" that was sent twice comes after the client has left.
        assert client.transcript == expected[client.thread_id][: len(client.transcript)]
        assert len(expected[client.thread_id]) - len(client.transcript) <= 1
    return clients


async def soak_on(url: str, folder: Path, followers: int, messages: int) -> list[Follower]:
    with ExitStack() as stack:
        servers = Servers(url, folder, stack)
        for _ in range(2 if url.startswith("postgresql") else 1):
            await servers.start()
        return await soak(servers, followers, messages)


@pytest.mark.uncounted
async def test_six_followers_receive_all_of_a_hundred_messages(database_url: str, tmp_path: Path) -> None:
    clients = await soak_on(database_url, tmp_path, 6, 100)

    assert sum(client.cuts for client in clients) >= 6


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_two_hundred_followers_receive_all_of_ten_thousand_messages(database_url: str, tmp_path: Path) -> None:
    clients = await soak_on(database_url, tmp_path, 200, 10_000)

    assert sum(client.cuts for client in clients) >= 1_000
