"""Each client creates once, though the first answer to each of its requests gets lost."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import openai
import pytest

from tests.clients.node import run
from tests.following import PATIENCE_S
from tests.live.cutting import forgetful_line_to

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.live.inside import Inside

pytestmark = pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning")

CREATE_THREAD = "mutation($input: CreateThreadInput!) { createThread(input: $input) { thread { id } } }"
CREATE_MESSAGE = "mutation($input: CreateMessageInput!) { createMessage(input: $input) { message { id } } }"
APPEND = "mutation($input: AppendMessageTextInput!) { appendMessageText(input: $input) { message { text } } }"
LEAVING = 40
ONE, TWO = ({"role": "user", "content": text} for text in ("one", "two"))


class Made(NamedTuple):
    """What a client got: the ids of what it created, and the text that it appended."""

    thread: str
    full: str
    message: str
    begun: str
    text: str


async def append_twice(ask: Any, thread_id: str) -> tuple[str, str]:
    """Begin a message, and append the same word to it twice, on purpose."""
    new = {"threadId": thread_id, "role": "ASSISTANT", "content": {"parts": []}, "status": "IN_PROGRESS"}
    begun = (await ask(CREATE_MESSAGE, {**new, "idempotencyKey": str(uuid.uuid4())}))["createMessage"]["message"]
    texts = [await ask(APPEND, {"messageId": begun["id"], "text": "Hello ", "offset": at}) for at in (0, 6)]
    return begun["id"], texts[-1]["appendMessageText"]["message"]["text"]


async def by_python_sdk(url: str, _folder: Path) -> Made:
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as client,
        openai.AsyncOpenAI(base_url=url, api_key="any") as root,
    ):
        client._idempotency_header = "Idempotency-Key"  # noqa: SLF001  (as the page says)
        threads = client.beta.threads
        thread = await threads.create(metadata={"made": "thread"})
        messages: Any = [ONE, TWO]
        full = await threads.create(messages=messages, metadata={"made": "thread with messages"})
        message = await threads.messages.create(thread.id, role="user", content="message")

        async def ask(query: str, given: dict[str, Any]) -> Any:
            body = {"query": query, "variables": {"input": given}}
            return (await root.post("/graphql", body=body, cast_to=object))["data"]  # type: ignore[index]

        return Made(thread.id, full.id, message.id, *await append_twice(ask, thread.id))


async def by_node_sdk(url: str, folder: Path) -> Made:
    return Made(**json.loads(await asyncio.to_thread(run, folder / "lost_answers.mjs", url)))


async def until_answered(send: Callable[[], Awaitable[httpx.Response]]) -> Any:
    """Send a request again until its answer arrives."""
    while True:
        try:
            return (await send()).raise_for_status().json()
        except httpx.TransportError:
            continue


async def by_http(url: str, _folder: Path) -> Made:
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:

        async def post(path: str, body: Any) -> str:
            headers = {"Idempotency-Key": f'"{uuid.uuid4()}"'}
            made: str = (await until_answered(lambda: http.post(path, json=body, headers=headers)))["id"]
            return made

        thread = await post("/v1/threads", {"metadata": {"made": "thread"}})
        full = await post("/v1/threads", {"messages": [ONE, TWO], "metadata": {"made": "thread with messages"}})
        message = await post(f"/v1/threads/{thread}/messages", {"role": "user", "content": "message"})
        return Made(thread, full, message, *await append_twice(_asking(http), thread))


async def by_graphql(url: str, _folder: Path) -> Made:
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
        ask = _asking(http)

        async def create_thread(**given: Any) -> str:
            made = await ask(CREATE_THREAD, {**given, "idempotencyKey": str(uuid.uuid4())})
            thread_id: str = made["createThread"]["thread"]["id"]
            return thread_id

        first = [{"role": "USER", "content": {"text": text}} for text in ("one", "two")]
        thread = await create_thread(metadata={"made": "thread"})
        full = await create_thread(messages=first, metadata={"made": "thread with messages"})
        new = {"threadId": thread, "role": "USER", "content": {"text": "message"}, "idempotencyKey": str(uuid.uuid4())}
        message = (await ask(CREATE_MESSAGE, new))["createMessage"]["message"]["id"]
        return Made(thread, full, message, *await append_twice(ask, thread))


def _asking(http: httpx.AsyncClient) -> Any:
    async def ask(query: str, given: dict[str, Any]) -> Any:
        body = {"query": query, "variables": {"input": given}}
        return (await until_answered(lambda: http.post("/graphql", json=body)))["data"]

    return ask


@pytest.mark.parametrize("client", [by_python_sdk, by_node_sdk, by_http, by_graphql])
async def test_what_a_client_retries_is_there_once(
    inside: Inside, node_clients: Path, client: Callable[[str, Path], Awaitable[Made]]
) -> None:
    async with forgetful_line_to(httpx.URL(inside.base_url).port or 0) as url:
        made = await client(url, node_clients)

    async with httpx.AsyncClient(base_url=f"{inside.base_url}/v1", timeout=PATIENCE_S) as http:
        listed = {
            each["id"]: [
                (message["id"], [part["text"]["value"] for part in message["content"]])
                for message in (await http.get(f"/threads/{each['id']}/messages?order=asc")).json()["data"]
            ]
            for each in (await http.get("/threads")).json()["data"]
        }
    assert set(listed) == {made.thread, made.full}
    assert [text for _, text in listed[made.full]] == [["one"], ["two"]]
    assert listed[made.thread] == [(made.message, ["message"]), (made.begun, ["Hello Hello "])]
    assert made.text == "Hello Hello "


async def test_a_client_that_leaves_at_any_moment_and_sends_again_has_created_once(inside: Inside) -> None:
    async with httpx.AsyncClient(base_url=f"{inside.base_url}/v1") as http:
        thread_id = (await http.post("/threads")).json()["id"]
        path = f"/v1/threads/{thread_id}/messages"
        for number in range(LEAVING):
            body = json.dumps({"role": "user", "content": f"{number}"}).encode()
            await leave(inside, path, f"k{number}", body, yields=number)

        for number in range(LEAVING):
            message = {"role": "user", "content": f"{number}"}
            again = await http.post(path.removeprefix("/v1"), json=message, headers={"Idempotency-Key": f"k{number}"})
            again.raise_for_status()

        listed = (await http.get(path.removeprefix("/v1"), params={"limit": 100})).json()["data"]
    texts = [each["content"][0]["text"]["value"] for each in listed]
    assert sorted(texts, key=int) == [f"{number}" for number in range(LEAVING)]


async def leave(inside: Inside, path: str, key: str, body: bytes, *, yields: int) -> None:
    """Send a whole request, give the server some turns of the loop, and break the connection off."""
    port = httpx.URL(inside.base_url).port
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nhost: g\r\nidempotency-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    for _ in range(yields):
        await asyncio.sleep(0)
    writer.transport.abort()
