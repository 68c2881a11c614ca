"""Two servers behind nginx, one of them always being started again: no SDK sees an error, and nothing is lost.

nginx, since it is what `deploy/` hands out: it goes on to the other server by itself where one refuses a connection.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import openai
import pytest
from websockets.exceptions import WebSocketException

from tests.clients.node import run
from tests.following import PATIENCE_S, until
from tests.live.server import Server, run_gateway, serving
from tests.live.subscribing import ADDED, events_of, socket_to
from tests.nginx import NAME, Behind, nginx_before
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning")

WRITERS: Final = 4
MEANWHILE: Final = 40  # messages that are acknowledged before the next stop
END: Final = "the end"
CUT_OFF: Final = (OSError, WebSocketException, httpx.TransportError, httpx.HTTPStatusError)


@dataclass
class Site:
    """Two servers on one database, and who calls them through nginx."""

    nginx: Behind
    key: str
    start: Callable[[int], Server]
    running: list[Server]
    restarts: int = 0

    async def restart(self, which: int) -> None:
        """Stop one server as an operator does, and start it again until it says that it is ready."""
        stopped = self.running[which]
        await asyncio.to_thread(stopped.stop)
        assert "Traceback" not in stopped.stderr
        self.running[which] = await asyncio.to_thread(self.start, which)
        async with httpx.AsyncClient(base_url=self.running[which].base_url, timeout=PATIENCE_S) as http:
            (await http.get("/readyz")).raise_for_status()
        self.restarts += 1

    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.nginx.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


@dataclass
class Load:
    """What SDKs with their own retries write to one thread, and list, for as long as they are let."""

    site: Site
    thread_id: str = ""
    made: dict[str, str] = field(default_factory=dict)  # text to id, of what was acknowledged
    retries: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    is_over: bool = False

    def sdk(self) -> openai.AsyncOpenAI:
        hooks: dict[str, list[Callable[..., Any]]] = {"request": [self._sent], "response": [self._answered]}
        http = openai.DefaultAsyncHttpxClient(verify=self.site.nginx.tls, event_hooks=hooks)
        return openai.AsyncOpenAI(base_url=f"{self.site.base_url}/v1", api_key=self.site.key, http_client=http)

    async def write(self, name: str) -> None:
        """Make one message after the other, each of which is listed behind the last."""
        last: str | openai.Omit = openai.omit
        async with self.sdk() as sdk:
            messages = sdk.beta.threads.messages
            n = 0
            while not self.is_over:
                began = time.monotonic()
                made = await messages.create(self.thread_id, role="user", content=f"{name} {n}")
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                self.made[f"{name} {n}"] = made.id
                listed = [each.id async for each in messages.list(self.thread_id, order="asc", limit=100, after=last)]
                assert made.id in listed
                last = made.id
                n += 1

    async def goes_on(self) -> None:
        """Wait until some more is acknowledged."""
        enough = len(self.made) + MEANWHILE
        await until(lambda: len(self.made) >= enough)

    async def _sent(self, request: Any) -> None:
        if request.headers["x-stainless-retry-count"] != "0":
            self.retries["retried"] += 1

    async def _answered(self, response: Any) -> None:
        if response.status_code != 200:
            self.retries[str(response.status_code)] += 1


@dataclass
class Follower:
    """A client that goes on from its last cursor whenever it was cut off, until it hears the end."""

    site: Site
    thread_id: str
    over: Callable[[Follower], AsyncIterator[dict[str, Any]]]
    heard: list[str] = field(default_factory=list)
    cuts: int = 0

    @property
    def after(self) -> str:
        return self.heard[-1] if self.heard else "0"

    async def follow(self) -> None:
        while True:
            try:
                async for edge in self.over(self):
                    self.heard.append(edge["cursor"])
                    if edge["node"]["text"] == END:
                        return
            except CUT_OFF:
                await asyncio.sleep(0.1)  # as clients do before they come back
            self.cuts += 1


async def over_ws(client: Follower) -> AsyncIterator[dict[str, Any]]:
    site = client.site
    async with socket_to(site.base_url, ssl=site.nginx.tls, additional_headers=site.headers) as socket:
        await socket.subscribe(ADDED, threadId=client.thread_id, after=client.after)
        while True:
            yield (await socket.receive())["payload"]["data"]["messageAdded"]


async def over_sse(client: Follower) -> AsyncIterator[dict[str, Any]]:
    body = {"query": ADDED, "variables": {"threadId": client.thread_id, "after": client.after}}
    headers = {**client.site.headers, "accept": "text/event-stream"}
    async with (
        client.site.nginx.client() as http,
        http.stream("POST", "/graphql", json=body, headers=headers) as answer,
    ):
        answer.raise_for_status()
        async for event in events_of(answer):
            if event:
                yield event.data["data"]["messageAdded"]


def write_by_node(folder: Path, load: Load, seconds: float) -> str:
    """Write by the Node SDK until the thread is over, and give what it printed."""
    site = load.site
    return run(
        folder / "keep_writing.mjs",
        *(site.base_url, site.key, load.thread_id),
        given={"NODE_EXTRA_CA_CERTS": str(site.nginx.authority)},
        patience_s=seconds + PATIENCE_S * 3,
    )


@pytest.fixture
def site(new_postgres_url: Callable[[], str], tmp_path: Path) -> Iterator[Site]:
    """Serve one PostgreSQL twice, to who has a key, behind nginx."""
    database_url = new_postgres_url()
    key = run_gateway("keys", "create", "--database-url", database_url, folder=tmp_path).stdout.strip()
    ports = [free_port(), free_port()]
    given = {"GATEWAY_HOSTS": f"{NAME},localhost,127.0.0.1", "GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
    with ExitStack() as stack:

        def start(which: int) -> Server:
            return stack.enter_context(serving(database_url, "--port", str(ports[which]), folder=tmp_path, given=given))

        running = [start(0), start(1)]
        yield Site(stack.enter_context(nginx_before(tmp_path, *ports)), key, start, running)


async def restart_under_load(site: Site, node_clients: Path, *, restarts: int, seconds: float) -> None:
    """Start the servers again in turn, so often and for so long at least, and check everybody's picture of it."""
    load = Load(site)
    async with load.sdk() as sdk:
        load.thread_id = (await sdk.beta.threads.create()).id
        followers = [Follower(site, load.thread_id, over) for over in (over_ws, over_sse)]
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for each in followers:
                group.create_task(each.follow())
            node = group.create_task(asyncio.to_thread(write_by_node, node_clients, load, seconds))
            writers = [group.create_task(load.write(f"python {n}")) for n in range(WRITERS)]
            await until(lambda: all(each.heard for each in followers))
            while site.restarts < restarts or time.monotonic() - began < seconds:
                await load.goes_on()
                await site.restart(site.restarts % 2)
            load.is_over = True
            await asyncio.gather(*writers)
            await sdk.beta.threads.update(load.thread_id, metadata={"over": "yes"})
            load.made |= json.loads(await node)
            load.made[END] = (await sdk.beta.threads.messages.create(load.thread_id, role="user", content=END)).id
        listed = [each async for each in sdk.beta.threads.messages.list(load.thread_id, order="asc", limit=100)]

    ids = [each.id for each in listed]
    times = Counter(ids)
    assert [id_ for id_ in load.made.values() if times[id_] != 1] == []
    for follower in followers:
        assert follower.heard == ids[: len(follower.heard)]
        assert follower.cuts > 0
    logging.getLogger(__name__).warning(  # seen with --log-cli-level=warning
        "%d restarts in %d s, %d messages, %d of them twice; %s, slowest create %.1f s, cuts %s",
        *(site.restarts, time.monotonic() - began, len(load.made), len(ids) - len(load.made)),
        *(dict(load.retries), load.slowest_s, [each.cuts for each in followers]),
    )


@pytest.mark.uncounted
async def test_two_restarts_cause_no_sdk_error_and_no_loss(site: Site, node_clients: Path) -> None:
    await restart_under_load(site, node_clients, restarts=2, seconds=0)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_minutes_of_restarts_cause_no_sdk_error_and_no_loss(site: Site, node_clients: Path) -> None:
    await restart_under_load(site, node_clients, restarts=20, seconds=120)
