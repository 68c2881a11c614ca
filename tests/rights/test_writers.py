"""A key that may only write, at a served process: what it cannot be shown, it does not write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.live.subscribing import open_socket
from tests.rights.conftest import where_no_database_has_a_part

if TYPE_CHECKING:
    from tests.rights.serving import Served

pytestmark = where_no_database_has_a_part

SAID: Final = 'createMessage(input: {threadId: $id, role: USER, content: {text: "hi"}})'
READING: Final = {
    "the thread": f"{SAID} {{ thread {{ id }} }}",
    "the thread of the message": f"{SAID} {{ message {{ thread {{ id }} }} }}",
    "the thread of the edge": f"{SAID} {{ edge {{ node {{ id thread {{ id }} }} }} }}",
    "the thread by a fragment": f"{SAID} {{ ...Whole ...Whole }}",
    "the thread by an inline fragment": f"{SAID} {{ ... on CreateMessagePayload {{ ... {{ thread {{ id }} }} }} }}",
    "the thread where it is asked for": f"{SAID} {{ thread @include(if: $yes) {{ id }} }}",
    "the second of two": f"a: {SAID} {{ message {{ id }} }} b: {SAID} {{ thread {{ id }} }}",
    "the messages of a new thread": "createThread(input: {}) { thread { messages { nodes { id } } } }",
    "the count of a new thread": "createThread(input: {}) { thread { messages { totalCount } } }",
    "the thread of one that is deleted": "deleteMessage(input: {id: $message}) { thread { id } }",
    "what is changed": 'updateThread(input: {id: $id, metadata: {a: "b"}}) { thread { id } }',
    "a message that is changed": 'updateMessage(input: {id: $message, metadata: {a: "b"}}) { message { id } }',
    "a message that grows": 'appendMessageText(input: {messageId: $message, text: "x"}) { message { id } }',
    "a message that is finished": "finishMessage(input: {messageId: $message, status: COMPLETED}) { message { id } }",
}
WRITING: Final = {
    "the message": f"{SAID} {{ message {{ id text metadata }} edge {{ cursor node {{ id }} }} }}",
    "nothing of the thread where it is left out": f"{SAID} {{ message {{ id }} thread @skip(if: $yes) {{ id }} }}",
    "nothing of the thread where it is not asked for": f"{SAID} {{ ...Whole @include(if: false) message {{ id }} }}",
    "a new thread": "createThread(input: {}) { thread { id metadata owner createdAt } }",
    "the id of one that is deleted": "deleteMessage(input: {id: $message}) { deletedMessageId }",
}
FRAGMENTS: Final = (
    "fragment Whole on CreateMessagePayload { ...Deeper } "
    "fragment Deeper on CreateMessagePayload { message { id } thread { id } }"
)


@pytest.fixture(scope="module")
def writer(served: Served) -> str:
    return served.new_key("--scopes", "write")[1]


@pytest.fixture(scope="module")
def key(served: Served) -> str:
    return served.new_key()[1]


def request_for(selected: str, names: dict[str, Any]) -> dict[str, Any]:
    """Write a mutation with the variables and fragments that it uses."""
    used = {name: value for name, value in names.items() if f"${name}" in selected}
    declared = ", ".join(f"${name}: {'Boolean' if value is True else 'ID'}!" for name, value in used.items())
    head = f"mutation({declared})" if used else "mutation"
    query = f"{head} {{ {selected} }} {FRAGMENTS if 'Whole' in selected else ''}"
    return {"query": query, "variables": used}


def names_of(served: Served, key: str) -> dict[str, Any]:
    """Make a thread with a message in progress."""
    thread_id = served.new_thread(key)
    begun = served.graphql(
        key,
        "mutation($id: ID!) { createMessage(input: {threadId: $id, role: ASSISTANT, status: IN_PROGRESS,"
        " content: {parts: []}}) { message { id } } }",
        id=thread_id,
    )
    return {"id": thread_id, "message": begun.body["data"]["createMessage"]["message"]["id"], "yes": True}


def kept(served: Served, key: str, names: dict[str, Any]) -> tuple[Any, Any]:
    listed = served.rest(key, "GET", "/threads?limit=100").body["data"]
    return listed, served.rest(key, "GET", f"/threads/{names['id']}/messages").body


@pytest.mark.parametrize("selected", READING.values(), ids=READING)
def test_a_write_only_key_that_selects_more_writes_nothing(
    served: Served, key: str, writer: str, selected: str
) -> None:
    names = names_of(served, key)
    asked, before = request_for(selected, names), kept(served, key, names)

    told = [served.graphql(writer, asked["query"], **asked["variables"]) for _ in range(3)]  # and compiled
    by_socket = asyncio.run(over_websocket(served, writer, asked))

    for each in (*(each.body for each in told), by_socket):
        assert (each["data"], [error["extensions"]["code"] for error in each["errors"]]) == (None, ["missing_scope"])
    assert kept(served, key, names) == before
    assert served.graphql(key, asked["query"], **asked["variables"]).code is None  # who may read it too does both


async def over_websocket(served: Served, credential: str, payload: dict[str, Any]) -> Any:
    async with open_socket(served.server.base_url) as socket:
        await socket.send("connection_init", payload={"authorization": f"Bearer {credential}"})
        assert await socket.receive() == {"type": "connection_ack"}
        await socket.send("subscribe", id="1", payload=payload)
        return (await socket.receive())["payload"]


@pytest.mark.parametrize("selected", WRITING.values(), ids=WRITING)
def test_a_write_only_key_can_select_its_own_input(served: Served, key: str, writer: str, selected: str) -> None:
    for _ in range(3):
        names = names_of(served, key)
        asked, before = request_for(selected, names), kept(served, key, names)

        assert served.graphql(writer, asked["query"], **asked["variables"]).code is None
        assert kept(served, key, names) != before


def test_a_write_only_key_creates_over_rest_and_cannot_modify(served: Served, key: str, writer: str) -> None:
    names = names_of(served, key)
    thread, note = f"/threads/{names['id']}", {"metadata": {"a": "b"}}
    made = served.rest(writer, "POST", f"{thread}/messages", {"role": "user", "content": "hi"})
    before = kept(served, key, names)

    told = [served.rest(writer, "POST", path, note) for path in (thread, f"{thread}/messages/{made.body['id']}")]

    assert made.status == 200
    assert [each.code for each in told] == ["missing_scope"] * 2
    assert kept(served, key, names) == before
