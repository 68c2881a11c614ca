"""Messages grow while servers are killed and restarted and a standby takes over: nothing is lost, nothing is twice.

Those who follow a thread know it as it is stored, whatever has cut them off.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from websockets.exceptions import WebSocketException

from gateway.store.schema.migrate import migrate
from tests.faults.pair import pair
from tests.following import PATIENCE_S, until
from tests.live.server import Server, serving
from tests.live.subscribing import socket_to
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.pair import Node

pytestmark = pytest.mark.uncounted

THREADS: Final = 3
WRITERS: Final = 14
PIECES: Final = 5
MEANWHILE: Final = 100  # messages that are finished before the next fault
END: Final = "the end"
CREATE: Final = "mutation($input: CreateMessageInput!) { createMessage(input: $input) { message { id } } }"
APPEND: Final = "mutation($input: AppendMessageTextInput!) { appendMessageText(input: $input) { message { id } } }"
FINISH: Final = "mutation($input: FinishMessageInput!) { finishMessage(input: $input) { message { id } } }"
EVENTS: Final = """
subscription($threadId: ID!, $after: String) { threadEvents(threadId: $threadId, after: $after) {
  __typename cursor
  ... on MessageCreated { message { id text } }
  ... on MessageUpdated { message { id text } }
  ... on MessageDelta { messageId text offset }
} }"""
CUT_OFF: Final = (OSError, WebSocketException, TimeoutError)


@dataclass
class Site:
    """Two servers on a primary with a standby, at the same places after each restart."""

    start: Callable[[int], Server]
    servers: list[Server]

    @property
    def base_urls(self) -> list[str]:
        return [each.base_url for each in self.servers]

    async def restart(self, which: int, *, is_killed: bool) -> None:
        """End a server, and start it again."""
        await asyncio.to_thread(self.servers[which].kill if is_killed else self.servers[which].stop)
        self.servers[which] = await asyncio.to_thread(self.start, which)


@dataclass
class Writer:
    """A client that lets messages grow piece by piece, and sends each request until it is answered."""

    site: Site
    http: httpx.AsyncClient
    number: int
    acknowledged: dict[str, dict[str, str]]
    is_over: bool = False

    async def run(self, thread_ids: list[str]) -> None:
        for n in itertools.count():
            if self.is_over:
                return
            await self.grow(thread_ids[n % THREADS], f"{self.number}.{n}")

    async def grow(self, thread_id: str, name: str) -> None:
        """Make one message, which has a text that no other has."""
        new = {"threadId": thread_id, "role": "ASSISTANT", "status": "IN_PROGRESS", "content": {"text": name}}
        message_id = await self._until_answered(CREATE, {**new, "idempotencyKey": f"key of {name}"})
        text = name
        for n in range(PIECES):
            piece = f", {n} of {name}"
            await self._until_answered(APPEND, {"messageId": message_id, "text": piece, "offset": len(text)})
            text += piece
        await self._until_answered(FINISH, {"messageId": message_id, "status": "COMPLETED"})
        self.acknowledged[thread_id][message_id] = text

    async def _until_answered(self, query: str, given: dict[str, Any]) -> str:
        for base_url in itertools.cycle(self.site.base_urls if self.number % 2 else self.site.base_urls[::-1]):
            with suppress(httpx.TransportError):
                answer = await self.http.post(
                    f"{base_url}/graphql", json={"query": query, "variables": {"input": given}}
                )
                body = answer.json()
                if not body.get("errors"):
                    [payload] = body["data"].values()
                    return str(payload["message"]["id"])
                assert answer.status_code in (200, 503), body
            await asyncio.sleep(0.02)
        raise AssertionError


@dataclass
class Follower:
    """A client that follows a thread as docs/graphql.md says, by turns through both servers, until it hears the end."""

    site: Site
    thread_id: str
    held: dict[str, str] = field(default_factory=dict)
    after: str = "0"
    cuts: int = 0
    anew: int = 0

    async def follow(self) -> None:
        for base_url in itertools.cycle(range(2)):
            with suppress(*CUT_OFF):
                async with socket_to(self.site.base_urls[base_url]) as socket:
                    await socket.subscribe(EVENTS, threadId=self.thread_id, after=self.after)
                    while END not in self.held.values():
                        self._take(await socket.receive())
                    return
            self.cuts += 1
            await asyncio.sleep(0.05)

    def _take(self, received: dict[str, Any]) -> None:
        if received["type"] == "error":
            [error] = received["payload"]
            if error["extensions"].get("param") == "after":  # of another epoch: the thread is read anew
                self.held, self.after, self.anew = {}, "0", self.anew + 1
            raise ConnectionError(error["message"])
        event = received["payload"]["data"]["threadEvents"]
        self.after = event["cursor"]
        match event["__typename"]:
            case "MessageCreated" | "MessageUpdated":
                self.held[event["message"]["id"]] = event["message"]["text"]
            case "MessageDelta" if event["offset"] == len(self.held[event["messageId"]]):
                self.held[event["messageId"]] += event["text"]


async def stored(http: httpx.AsyncClient, base_url: str, thread_id: str) -> dict[str, str]:
    """Read the texts of all messages of a thread, in their order."""
    found: dict[str, str] = {}
    while True:
        after = {"after": list(found)[-1]} if found else {}
        url = f"{base_url}/v1/threads/{thread_id}/messages"
        page = (await http.get(url, params={"limit": 100, "order": "asc", **after})).raise_for_status().json()
        found |= {each["id"]: each["content"][0]["text"]["value"] for each in page["data"]}
        if not page["has_more"]:
            return found


async def cause_faults(site: Site, primary: Node, standby: Node, count: Callable[[], int]) -> float:
    """End servers and the primary in turn while more is acknowledged; return how long that took after the promotion."""

    async def progress() -> None:
        enough = count() + MEANWHILE
        await until(lambda: count() >= enough)

    await progress()
    for which, is_killed in ((0, False), (1, True)):
        await site.restart(which, is_killed=is_killed)
        await progress()
    await asyncio.to_thread(primary.kill)
    await asyncio.sleep(0.5)  # every client meets that there is none
    await asyncio.to_thread(standby.promote)
    promoted = time.monotonic()
    before = count()
    await until(lambda: count() > before)
    waited_s = time.monotonic() - promoted
    await progress()
    for which, is_killed in ((0, True), (1, False)):
        await site.restart(which, is_killed=is_killed)
        await progress()
    return waited_s


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_growing_messages_and_their_followers_survive_kills_restarts_and_a_failover(tmp_path: Path) -> None:
    with pair() as (primary, standby), ExitStack() as stack:
        await migrate(primary.url)
        url = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
        ports = [str(free_port()), str(free_port())]

        def start(which: int) -> Server:
            return stack.enter_context(serving(url, "--port", ports[which], folder=tmp_path))

        site = Site(start, [start(0), start(1)])
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            threads = [(await http.post(f"{site.base_urls[0]}/v1/threads")).json()["id"] for _ in range(THREADS)]
            acknowledged: dict[str, dict[str, str]] = {each: {} for each in threads}
            writers = [Writer(site, http, n, acknowledged) for n in range(WRITERS)]
            followers = [Follower(site, thread_id) for thread_id in threads for _ in range(2)]
            async with asyncio.TaskGroup() as group:
                following = [group.create_task(each.follow()) for each in followers]
                writing = [group.create_task(each.run(threads)) for each in writers]
                waited_s = await cause_faults(site, primary, standby, lambda: sum(map(len, acknowledged.values())))
                for each in writers:
                    each.is_over = True
                await asyncio.gather(*writing)
                for thread_id in threads:
                    path, body = f"/v1/threads/{thread_id}/messages", {"role": "user", "content": END}
                    (await http.post(f"{site.base_urls[0]}{path}", json=body)).raise_for_status()
                await asyncio.wait_for(asyncio.gather(*following), PATIENCE_S)
            found = {thread_id: await stored(http, site.base_urls[1], thread_id) for thread_id in threads}

    for thread_id, own in found.items():
        assert {id_: text for id_, text in own.items() if text != END} == acknowledged[thread_id]
    for follower in followers:
        assert list(follower.held.items()) == list(found[follower.thread_id].items())
        assert follower.cuts > 0
        assert follower.anew >= 1  # the promotion began an epoch, which servers find one after the other
    assert waited_s < 10
    logging.getLogger(__name__).warning(  # seen with --log-cli-level=warning
        "%d messages of %d appends each, %.1f s after the promotion; followers cut %s, read anew %s",
        *(sum(map(len, acknowledged.values())), PIECES, waited_s),
        *([each.cuts for each in followers], [each.anew for each in followers]),
    )
