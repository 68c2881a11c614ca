"""What was acknowledged is kept, and nothing else, whatever happens to the process that acknowledged it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import text

from gateway.store.engines.open import open_engines
from tests.effort import times
from tests.live.server import PATIENCE_S, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = times(fast=2, slow=10)
CREATES = 80
WRITERS = 20  # at the same time; httpx looks at every connection for every request, so more of them cost only us
THREADS = 3
CREATE_MESSAGE = "mutation($input: CreateMessageInput!) { createMessage(input: $input) { message { id } } }"
TOTAL_COUNT = "query($id: ID!) { thread(id: $id) { messages { totalCount } } }"


@dataclass
class Acknowledged:
    """The messages that the server has said it made: text to id."""

    made: dict[str, str] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)  # text to number, of what was sent and not answered
    enough: int = 0
    has_enough: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, said: str, message_id: str) -> None:
        self.made[said] = message_id
        del self.pending[said]
        if len(self.made) >= self.enough:
            self.has_enough.set()

    def wait_for(self, count: int) -> None:
        self.enough = len(self.made) + count
        self.has_enough.clear()


async def create(http: httpx.AsyncClient, thread_id: str, said: str, *, by_rest: bool) -> str:
    made: str
    if by_rest:
        key = {"Idempotency-Key": said}
        body = {"role": "user", "content": said}
        answer = await http.post(f"/v1/threads/{thread_id}/messages", json=body, headers=key)
        made = answer.raise_for_status().json()["id"]
    else:
        new = {"threadId": thread_id, "role": "USER", "content": {"text": said}, "idempotencyKey": said}
        answer = await http.post("/graphql", json={"query": CREATE_MESSAGE, "variables": {"input": new}})
        made = answer.raise_for_status().json()["data"]["createMessage"]["message"]["id"]
    return made


async def create_and_note(
    http: httpx.AsyncClient, threads: list[str], said: Iterator[tuple[int, str]], acknowledged: Acknowledged
) -> None:
    """Make one message after the other, out of those that other writers have not made yet."""
    for n, each in said:
        acknowledged.pending[each] = n
        try:
            made = await create(http, threads[n % THREADS], each, by_rest=n % 2 == 0)
        except httpx.TransportError:
            return  # the server was killed before it answered: it is asked again when it is there again
        acknowledged.note(each, made)


async def create_pending(http: httpx.AsyncClient, threads: list[str], acknowledged: Acknowledged) -> None:
    """Ask again for what was not answered, with the same keys, by the other face."""
    for each, n in list(acknowledged.pending.items()):
        acknowledged.note(each, await create(http, threads[n % THREADS], each, by_rest=n % 2 == 1))


def client_of(base_url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=base_url, timeout=PATIENCE_S)


async def all_messages(http: httpx.AsyncClient, thread_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    more = True
    while more:
        after = {"after": found[-1]["id"]} if found else {}
        answer = await http.get(f"/v1/threads/{thread_id}/messages", params={"order": "asc", "limit": 100, **after})
        page = answer.raise_for_status().json()
        found += page["data"]
        more = page["has_more"]
    return found


async def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    engines = open_engines(url)
    async with engines.reader.connect() as connection:
        found = [tuple(row) for row in await connection.execute(text(statement))]
    await engines.dispose()
    return found


@pytest.fixture
async def after_kills(database_url: str, tmp_path: Path) -> tuple[list[str], Acknowledged]:
    """Kill the server in the middle of many creates, again and again; give the threads and what was acknowledged."""
    acknowledged = Acknowledged()
    threads: list[str] = []
    for number in range(ROUNDS):
        with serving(database_url, folder=tmp_path) as server:
            async with client_of(server.base_url) as http:
                if not threads:
                    threads = [(await http.post("/v1/threads")).json()["id"] for _ in range(THREADS)]
                await create_pending(http, threads, acknowledged)
                acknowledged.wait_for(1 + number * CREATES // (ROUNDS + 1))
                said = iter([(n, f"{number}.{n}") for n in range(CREATES)])
                creates = [
                    asyncio.create_task(create_and_note(http, threads, said, acknowledged)) for _ in range(WRITERS)
                ]
                await asyncio.wait_for(acknowledged.has_enough.wait(), PATIENCE_S)
                server.kill()
                await asyncio.gather(*creates)
    return threads, acknowledged


@pytest.mark.timeout(180)
@pytest.mark.uncounted
async def test_what_was_acknowledged_is_stored_once_after_kills_and_nothing_else(
    after_kills: tuple[list[str], Acknowledged], database_url: str, tmp_path: Path
) -> None:
    threads, acknowledged = after_kills
    with serving(database_url, folder=tmp_path) as server:
        async with client_of(server.base_url) as http:
            repeated = set(acknowledged.pending)
            await create_pending(http, threads, acknowledged)
            found = {thread_id: await all_messages(http, thread_id) for thread_id in threads}
            counted = {
                thread_id: (
                    await http.post("/graphql", json={"query": TOTAL_COUNT, "variables": {"id": thread_id}})
                ).json()["data"]["thread"]["messages"]["totalCount"]
                for thread_id in threads
            }
    messages = [message for own in found.values() for message in own]
    there = {message["content"][0]["text"]["value"]: message["id"] for message in messages}

    # The kills came in the middle: some creates were acknowledged in every round, and some were not.
    assert ROUNDS <= len(acknowledged.made) < ROUNDS * CREATES
    assert repeated
    assert acknowledged.made == there
    assert [said for said, times in Counter(map(_said, messages)).items() if times > 1] == []
    assert counted == {thread_id: len(own) for thread_id, own in found.items()}
    await assert_rows_are_sound(database_url, counted)


async def assert_rows_are_sound(url: str, counted: dict[str, int]) -> None:
    """Look at what the faces do not show: counts and positions."""
    per_thread = (
        "SELECT t.id, t.message_count, count(m.id), count(DISTINCT m.position), t.last_position - max(m.position)"
        " FROM threads t JOIN messages m ON m.project_id = t.project_id AND m.thread_id = t.id"
        " GROUP BY t.id, t.message_count, t.last_position"
    )
    assert sorted(await rows(url, per_thread)) == sorted((id_, n, n, n, 0) for id_, n in counted.items())


def _said(message: dict[str, Any]) -> str:
    said: str = message["content"][0]["text"]["value"]
    return said
