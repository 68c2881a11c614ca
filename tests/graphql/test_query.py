from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from gateway.core import messages, threads
from gateway.domain.message import IncompleteReason, Status
from gateway.domain.thread import NewThread
from gateway.store.engines.open import open_engines
from tests.graphql.operations import NODE
from tests.graphql.serving import watching
from tests.make import ATTACHMENTS, EVERY_PART, SOME_SECOND, fill_thread, make_thread, put_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from tests.faces import GraphQL

NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
IMPOSSIBLE = ["x", "thread_", "msg_", "thread_" + "a" * 121, "msg_!", "run_1", "thread_none", "msg_none"]


async def test_node_returns_a_thread(graphql: GraphQL, thread_id: str) -> None:
    data = await graphql("query($id: ID!) { node(id: $id) { __typename id } }", id=thread_id)

    assert data == {"node": {"__typename": "Thread", "id": thread_id}}


async def test_node_returns_a_message(store: Store, who: Principal, graphql: GraphQL) -> None:
    message = await put_message(store, who, await make_thread(store, who))

    data = await graphql("query($id: ID!) { node(id: $id) { __typename id } }", id=message.id)

    assert data == {"node": {"__typename": "Message", "id": message.id}}


@pytest.mark.parametrize("unknown", IMPOSSIBLE)
async def test_node_is_null_for(graphql: GraphQL, unknown: str) -> None:
    assert await graphql("query($id: ID!) { node(id: $id) { id } }", id=unknown) == {"node": None}


@pytest.mark.parametrize("unknown", IMPOSSIBLE)
async def test_thread_is_null_for(graphql: GraphQL, unknown: str) -> None:
    assert await graphql("query($id: ID!) { thread(id: $id) { id } }", id=unknown) == {"thread": None}


async def test_thread_is_null_for_a_message(store: Store, who: Principal, graphql: GraphQL) -> None:
    message = await put_message(store, who, await make_thread(store, who))

    assert await graphql("query($id: ID!) { thread(id: $id) { id } }", id=message.id) == {"thread": None}


async def test_thread_is_null_for_a_deleted_thread(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who)
    await threads.delete(store, who, thread_id)

    assert await graphql("query($id: ID!) { thread(id: $id) { id } }", id=thread_id) == {"thread": None}


async def test_node_is_null_for_a_deleted_message(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who)
    [message] = await fill_thread(store, who, thread_id, [None])
    await messages.delete(store, who, thread_id, message.id)

    assert await graphql("query($id: ID!) { node(id: $id) { id } }", id=message.id) == {"node": None}


async def test_nodes_keep_the_order_of_their_ids(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who)
    message = await put_message(store, who, thread_id)

    data = await graphql(NODES, ids=[message.id, "msg_none", thread_id, "x", message.id])

    a_message = {"__typename": "Message", "id": message.id}
    assert data["nodes"] == [a_message, None, {"__typename": "Thread", "id": thread_id}, None, a_message]


async def test_nodes_accepts_100_ids(graphql: GraphQL, thread_id: str) -> None:
    assert len((await graphql(NODES, ids=[thread_id] * 100))["nodes"]) == 100


async def test_nodes_refuses_101_ids(graphql: GraphQL, thread_id: str) -> None:
    error = await graphql.refusal(NODES, ids=[thread_id] * 101)

    assert error["extensions"] == {
        "code": "array_above_max_length",
        "param": "ids",
        "type": "invalid_request_error",
    }


async def test_thread_has_all_its_fields(store: Store, who: Principal, graphql: GraphQL) -> None:
    resources = {"file_search": {"vector_store_ids": ["vs_1"]}}
    new = NewThread(metadata={"a": "ü"}, tool_resources=resources)
    thread = await threads.create(store, who, new)

    data = await graphql(NODE, id=thread.id)

    created_at = data["node"].pop("createdAt")
    assert created_at.endswith("Z")
    assert data["node"] == {
        "__typename": "Thread",
        "id": thread.id,
        "metadata": {"a": "ü"},
        "toolResources": resources,
    }


async def test_message_has_all_its_fields(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who)
    message = await put_message(
        store,
        who,
        thread_id,
        content=EVERY_PART,
        attachments=ATTACHMENTS,
        metadata={"k": "v"},
        run_id="run_1",
        assistant_id="asst_1",
        completed_at=SOME_SECOND + 1,
    )

    data = await graphql(NODE, id=message.id)

    content = data["node"].pop("content")
    assert [part["__typename"] for part in content] == _KINDS
    assert data["node"] == {
        "__typename": "Message",
        "id": message.id,
        "threadId": thread_id,
        "thread": {"id": thread_id},
        "createdAt": "2026-08-17T20:53:20Z",
        "completedAt": "2026-08-17T20:53:21Z",
        "incompleteAt": None,
        "incompleteReason": None,
        "role": "ASSISTANT",
        "status": "COMPLETED",
        "text": "See [1] 🙂\nSee [2] [3]\nBye",
        "attachments": [
            {"fileId": "file-a", "tools": ["code_interpreter", "file_search"]},
            {"fileId": "file-b", "tools": []},
            {"fileId": None, "tools": []},
        ],
        "metadata": {"k": "v"},
        "runId": "run_1",
        "assistantId": "asst_1",
    }


async def test_every_kind_of_part_has_its_fields(store: Store, who: Principal, graphql: GraphQL) -> None:
    message = await put_message(store, who, await make_thread(store, who), content=EVERY_PART)

    [text, azure, image_file, plain_image_file, image_url, bare_image_file, refusal, bye] = (
        await graphql(NODE, id=message.id)
    )["node"]["content"]

    place = {"text": "[1]", "startIndex": 4, "endIndex": 7, "fileId": "file-cited"}
    assert text["text"]["annotations"] == [
        {"__typename": "FileCitation", **place, "quote": None},
        {"__typename": "FileCitation", **place, "quote": "as it is written"},
        {"__typename": "FilePath", "text": "sandbox:/x.csv", "startIndex": 8, "endIndex": 22, "fileId": "file-made"},
    ]
    assert azure["text"]["annotations"] == [
        {
            "__typename": "UrlCitation",
            "text": "[2]",
            "startIndex": 8,
            "endIndex": 11,
            "url": "https://example.org/a",
            "title": "A",
        },
        {
            "__typename": "FileCitation",
            "text": "[3]",
            "startIndex": None,
            "endIndex": None,
            "fileId": "file-cited",
            "quote": None,
        },
        {
            "__typename": "UrlCitation",
            "text": "[2]",
            "startIndex": None,
            "endIndex": None,
            "url": "https://b",
            "title": None,
        },
    ]
    assert bare_image_file == plain_image_file
    assert image_file == {
        "__typename": "ImageFileContent",
        "type": "image_file",
        "imageFile": {"fileId": "file-image", "detail": "high"},
    }
    assert plain_image_file["imageFile"] == {"fileId": "file-plain", "detail": "auto"}
    assert image_url == {
        "__typename": "ImageUrlContent",
        "type": "image_url",
        "imageUrl": {"url": "https://example.org/a.png", "detail": "low"},
    }
    assert refusal == {"__typename": "RefusalContent", "type": "refusal", "refusal": "I will not."}
    assert bye == {"__typename": "TextContent", "type": "text", "text": {"value": "Bye", "annotations": []}}


async def test_message_in_progress_has_no_end_times(store: Store, who: Principal, graphql: GraphQL) -> None:
    message = await put_message(store, who, await make_thread(store, who), status=Status.IN_PROGRESS)

    node = (await graphql(NODE, id=message.id))["node"]

    assert (node["status"], node["completedAt"], node["content"], node["text"]) == ("IN_PROGRESS", None, [], "")


@pytest.mark.parametrize("reason", IncompleteReason)
async def test_incomplete_message_has_time_and_reason(
    store: Store, who: Principal, graphql: GraphQL, reason: IncompleteReason
) -> None:
    broken = {"status": Status.INCOMPLETE, "incomplete_at": SOME_SECOND, "incomplete_reason": reason}
    message = await put_message(store, who, await make_thread(store, who), **broken)

    node = (await graphql(NODE, id=message.id))["node"]

    found = (node["status"], node["incompleteAt"], node["incompleteReason"])
    assert found == ("INCOMPLETE", "2026-08-17T20:53:20Z", reason.name)


@pytest.mark.usefixtures("_thread_goes_when_its_messages_are_read")
async def test_thread_deleted_during_a_query_is_not_found(store: Store, who: Principal, graphql: GraphQL) -> None:
    message = await put_message(store, who, await make_thread(store, who))

    answer = await graphql.answer(
        "query($id: ID!) { node(id: $id) { ... on Message { id thread { createdAt } } } }", id=message.id
    )

    [error] = answer["errors"]
    assert error["message"] == f"No thread found with id '{message.thread_id}'."
    assert error["path"] == ["node", "thread"]
    assert error["extensions"] == {"code": "not_found", "param": None, "type": "invalid_request_error"}
    assert answer["data"] == {"node": None}


@pytest.fixture
def _thread_goes_when_its_messages_are_read(store: Store, database_url: str) -> Iterator[None]:
    """Delete all threads concurrently, right after a statement has read messages."""

    def delete(_error: BaseException | None) -> None:
        if database_url.startswith("postgresql"):
            with ThreadPoolExecutor() as beside:  # the loop of this thread waits for us
                beside.submit(asyncio.run, _delete_threads(database_url)).result()
            return
        other = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        other.execute("DELETE FROM threads")
        other.commit()
        other.close()

    with watching(store, lambda _database, statement: delete if "FROM messages" in statement else None):
        yield


async def _delete_threads(url: str) -> None:
    engines = open_engines(url)
    async with engines.writer.begin() as connection:
        await connection.execute(text("DELETE FROM threads"))
    await engines.dispose()


_KINDS = [
    f"{each}Content" for each in ["Text", "Text", "ImageFile", "ImageFile", "ImageUrl", "ImageFile", "Refusal", "Text"]
]
