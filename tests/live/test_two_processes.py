"""Two servers on one PostgreSQL: what one writes, the other's followers hear, whatever happens to either."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.following import PATIENCE_S, take
from tests.live.server import Server, serving
from tests.live.subscribing import ADDED, EVENTS, socket_to, stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPEND = "mutation($input: AppendMessageTextInput!) { appendMessageText(input: $input) { message { id } } }"
BEGIN = "mutation($input: CreateMessageInput!) { createMessage(input: $input) { message { id } } }"


@pytest.fixture
def servers(postgres_url: str, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    with serving(postgres_url, folder=tmp_path) as one, serving(postgres_url, folder=tmp_path) as two:
        yield one, two


def make_thread(server: Server) -> str:
    thread_id: str = httpx.post(f"{server.base_url}/v1/threads", timeout=PATIENCE_S).raise_for_status().json()["id"]
    return thread_id


def say(server: Server, thread_id: str, *texts: str) -> list[str]:
    made = []
    for text in texts:
        body = {"role": "user", "content": text}
        answer = httpx.post(f"{server.base_url}/v1/threads/{thread_id}/messages", json=body, timeout=PATIENCE_S)
        made.append(answer.raise_for_status().json()["id"])
    return made


def mutate(server: Server, query: str, **given: object) -> str:
    asked = {"query": query, "variables": {"input": given}}
    answer = httpx.post(f"{server.base_url}/graphql", json=asked, timeout=PATIENCE_S)
    [payload] = answer.raise_for_status().json()["data"].values()
    message_id: str = payload["message"]["id"]
    return message_id


async def test_a_write_through_one_server_is_received_through_the_other(servers: tuple[Server, Server]) -> None:
    one, two = servers
    thread_id = make_thread(one)
    async with socket_to(two.base_url) as socket:
        await socket.subscribe(ADDED, threadId=thread_id, after="0")
        for n in range(5):
            say(one, thread_id, str(n))

            assert await socket.texts(1) == [str(n)]


async def test_a_message_streamed_through_one_server_is_followed_through_the_other(
    servers: tuple[Server, Server],
) -> None:
    one, two = servers
    thread_id = make_thread(one)
    begun = mutate(one, BEGIN, threadId=thread_id, role="ASSISTANT", content={"text": ""}, status="IN_PROGRESS")
    async with (
        httpx.AsyncClient(base_url=two.base_url, timeout=PATIENCE_S) as http,
        stream_of(http, EVENTS, threadId=thread_id, after="0") as events,
    ):
        await take(events, 1)
        for text in ("He", "llo"):
            mutate(one, APPEND, messageId=begun, text=text)

            [told] = await take(events, 1)
            assert told.data["data"]["threadEvents"]["text"] == text


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_followers_resume_after_a_restart_of_their_server(postgres_url: str, tmp_path: Path, how: str) -> None:
    with serving(postgres_url, folder=tmp_path) as writer, ExitStack() as first:
        reader = first.enter_context(serving(postgres_url, folder=tmp_path))
        thread_id = make_thread(writer)
        say(writer, thread_id, "1", "2")
        async with socket_to(reader.base_url) as socket:
            await socket.subscribe(ADDED, threadId=thread_id, after="0")
            last = [(await socket.receive())["payload"]["data"]["messageAdded"] for _ in range(2)][-1]
            if how == "killed":
                reader.kill()
            else:
                reader.stop()
            await socket.end()
        first.close()
        say(writer, thread_id, "3", "4")

        with serving(postgres_url, folder=tmp_path) as again:
            async with socket_to(again.base_url) as socket:
                await socket.subscribe(ADDED, threadId=thread_id, after=last["cursor"])
                missed = await socket.texts(2)
                say(writer, thread_id, "5")

                assert (missed, await socket.texts(1)) == (["3", "4"], ["5"])


async def test_followers_lose_nothing_when_the_writing_server_is_killed(postgres_url: str, tmp_path: Path) -> None:
    with serving(postgres_url, folder=tmp_path) as reader, serving(postgres_url, folder=tmp_path) as writer:
        thread_id = make_thread(writer)
        async with socket_to(reader.base_url) as socket:
            await socket.subscribe(ADDED, threadId=thread_id, after="0")
            say(writer, thread_id, "1")
            writer.kill()
            heard = await socket.texts(1)
            with serving(postgres_url, folder=tmp_path) as again:
                say(again, thread_id, "2")

                assert heard + await socket.texts(1) == ["1", "2"]
