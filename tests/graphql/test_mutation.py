from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.graphql.operations import CONTENT

if TYPE_CHECKING:
    import httpx

    from tests.faces import GraphQL

CREATE_THREAD = (
    "mutation($input: CreateThreadInput!) { createThread(input: $input) { thread { id metadata toolResources "
    "messages(order: ASC) { totalCount nodes { text role metadata runId assistantId } } } } }"
)
UPDATE_THREAD = (
    "mutation($input: UpdateThreadInput!) { updateThread(input: $input) { thread { id metadata toolResources } } }"
)
DELETE_THREAD = "mutation($input: DeleteThreadInput!) { deleteThread(input: $input) { deletedThreadId } }"
CREATE_MESSAGE = (
    "mutation($input: CreateMessageInput!) { createMessage(input: $input) { message { id threadId role status text "
    f"metadata runId assistantId attachments {{ fileId tools }} {CONTENT} }} "
    "edge { cursor node { id } } thread { id messages { totalCount } } } }"
)
UPDATE_MESSAGE = (
    "mutation($input: UpdateMessageInput!) { updateMessage(input: $input) { message { id metadata text } } }"
)
DELETE_MESSAGE = (
    "mutation($input: DeleteMessageInput!) { deleteMessage(input: $input) { deletedMessageId "
    "thread { id messages { totalCount } } } }"
)


async def test_create_thread_creates_its_messages(graphql: GraphQL) -> None:
    first = {"role": "USER", "content": {"text": "hi"}, "metadata": {"n": "1"}}
    second = {"role": "ASSISTANT", "content": {"text": "ho"}, "runId": "run_1", "assistantId": "asst_1"}
    resources = {"code_interpreter": {"file_ids": ["file-1"]}}

    data = await graphql(
        CREATE_THREAD, input={"messages": [first, second], "metadata": {"a": "b"}, "toolResources": resources}
    )

    thread = data["createThread"]["thread"]
    assert (thread["metadata"], thread["toolResources"]) == ({"a": "b"}, resources)
    assert thread["messages"] == {
        "totalCount": 2,
        "nodes": [
            {"text": "hi", "role": "USER", "metadata": {"n": "1"}, "runId": None, "assistantId": None},
            {"text": "ho", "role": "ASSISTANT", "metadata": {}, "runId": "run_1", "assistantId": "asst_1"},
        ],
    }


async def test_create_thread_accepts_an_empty_input(graphql: GraphQL) -> None:
    thread = (await graphql(CREATE_THREAD, input={}))["createThread"]["thread"]

    assert (thread["metadata"], thread["messages"]["totalCount"]) == ({}, 0)


async def test_create_thread_accepts_null_for_optional_fields(graphql: GraphQL) -> None:
    nothing = {"messages": None, "metadata": None, "toolResources": None}

    thread = (await graphql(CREATE_THREAD, input=nothing))["createThread"]["thread"]

    assert (thread["metadata"], thread["messages"]["totalCount"]) == ({}, 0)


async def test_update_thread_merges_metadata(graphql: GraphQL, thread_id: str) -> None:
    await graphql(UPDATE_THREAD, input={"id": thread_id, "metadata": {"a": "1", "b": "2"}})

    data = await graphql(UPDATE_THREAD, input={"id": thread_id, "metadata": {"a": None, "b": "3", "c": ""}})

    assert data["updateThread"]["thread"]["metadata"] == {"b": "3", "c": ""}


async def test_update_thread_replaces_tool_resources(graphql: GraphQL, thread_id: str) -> None:
    await graphql(UPDATE_THREAD, input={"id": thread_id, "toolResources": {"code_interpreter": {"file_ids": ["f"]}}})
    resources = {"file_search": {"vector_store_ids": ["vs_1"]}}

    data = await graphql(UPDATE_THREAD, input={"id": thread_id, "toolResources": resources})

    assert data["updateThread"]["thread"]["toolResources"] == resources


@pytest.mark.parametrize("change", [{}, {"metadata": None}, {"metadata": {}}], ids=["nothing", "null", "no pairs"])
async def test_update_thread_keeps_fields_for(graphql: GraphQL, thread_id: str, change: dict[str, Any]) -> None:
    await graphql(UPDATE_THREAD, input={"id": thread_id, "metadata": {"a": "1"}})

    data = await graphql(UPDATE_THREAD, input={"id": thread_id, **change})

    assert data["updateThread"]["thread"]["metadata"] == {"a": "1"}


async def test_delete_thread_returns_the_deleted_id(graphql: GraphQL, thread_id: str) -> None:
    data = await graphql(DELETE_THREAD, input={"id": thread_id})

    assert data == {"deleteThread": {"deletedThreadId": thread_id}}
    assert await graphql("query($id: ID!) { thread(id: $id) { id } }", id=thread_id) == {"thread": None}


async def test_create_message_returns_message_edge_and_thread(graphql: GraphQL, thread_id: str) -> None:
    new = {
        "threadId": thread_id,
        "role": "ASSISTANT",
        "content": {"text": "hello"},
        "attachments": [{"fileId": "file-1", "tools": ["file_search", "code_interpreter"]}],
        "metadata": {"a": "b"},
        "runId": "run_1",
        "assistantId": "asst_1",
    }

    made = (await graphql(CREATE_MESSAGE, input=new))["createMessage"]

    message_id = made["message"].pop("id")
    assert made.pop("edge") == {"cursor": message_id, "node": {"id": message_id}}
    assert made.pop("thread") == {"id": thread_id, "messages": {"totalCount": 1}}
    assert made["message"] == {
        "threadId": thread_id,
        "role": "ASSISTANT",
        "status": "COMPLETED",
        "text": "hello",
        "metadata": {"a": "b"},
        "runId": "run_1",
        "assistantId": "asst_1",
        "attachments": [{"fileId": "file-1", "tools": ["file_search", "code_interpreter"]}],
        "content": [{"__typename": "TextContent", "type": "text", "text": {"value": "hello", "annotations": []}}],
    }


async def test_create_message_accepts_every_kind_of_part(graphql: GraphQL, thread_id: str) -> None:
    parts = [
        {"text": "look"},
        {"imageFile": {"fileId": "file-1"}},
        {"imageFile": {"fileId": "file-2", "detail": "high"}},
        {"imageUrl": {"url": "https://example.org/a.png"}},
        {"imageUrl": {"url": "http://example.org/b.png", "detail": "low"}},
    ]

    data = await graphql(CREATE_MESSAGE, input={"threadId": thread_id, "role": "USER", "content": {"parts": parts}})

    content = data["createMessage"]["message"]["content"]
    assert [part.get("text") or part.get("imageFile") or part.get("imageUrl") for part in content] == [
        {"value": "look", "annotations": []},
        {"fileId": "file-1", "detail": "auto"},
        {"fileId": "file-2", "detail": "high"},
        {"url": "https://example.org/a.png", "detail": "auto"},
        {"url": "http://example.org/b.png", "detail": "low"},
    ]


async def test_update_message_changes_only_metadata(graphql: GraphQL, thread_id: str) -> None:
    message_id = await _message(graphql, thread_id)

    data = await graphql(UPDATE_MESSAGE, input={"id": message_id, "metadata": {"old": None, "new": "1"}})

    assert data["updateMessage"]["message"] == {"id": message_id, "metadata": {"new": "1"}, "text": "hi"}


async def test_delete_message_returns_the_thread_without_it(graphql: GraphQL, thread_id: str) -> None:
    message_id = await _message(graphql, thread_id)

    data = await graphql(DELETE_MESSAGE, input={"id": message_id})

    thread = {"id": thread_id, "messages": {"totalCount": 0}}
    assert data == {"deleteMessage": {"deletedMessageId": message_id, "thread": thread}}


async def test_mutations_of_one_operation_run_serially(graphql: GraphQL, thread_id: str) -> None:
    add = (
        "createMessage(input: {threadId: $id, role: USER, content: {text: %s}}) { thread { messages { totalCount } } }"
    )

    data = await graphql(
        f"mutation($id: ID!) {{ a: {add % repr('1')} b: {add % repr('2')} }}".replace("'", '"'), id=thread_id
    )

    counts = [data[key]["thread"]["messages"]["totalCount"] for key in ("a", "b")]
    assert counts == [1, 2]


async def test_failed_mutation_keeps_earlier_ones(graphql: GraphQL, thread_id: str) -> None:
    operation = """mutation($id: ID!) {
        a: updateThread(input: {id: $id, metadata: {a: "1"}}) { thread { metadata } }
        b: deleteThread(input: {id: "thread_none"}) { deletedThreadId }
    }"""

    answer = await graphql.answer(operation, id=thread_id)

    thread = await graphql("query($id: ID!) { thread(id: $id) { metadata } }", id=thread_id)
    assert (answer["data"], [each["path"] for each in answer["errors"]]) == (None, [["b"]])
    assert thread == {"thread": {"metadata": {"a": "1"}}}


@pytest.mark.parametrize("operation", [DELETE_THREAD, UPDATE_THREAD])
async def test_unknown_thread_is_not_found(graphql: GraphQL, operation: str) -> None:
    error = await graphql.refusal(operation, input={"id": "thread_none"})

    assert error["message"] == "No thread found with id 'thread_none'."
    assert error["extensions"] == {"code": "not_found", "param": None, "type": "invalid_request_error"}


@pytest.mark.parametrize("operation", [DELETE_MESSAGE, UPDATE_MESSAGE])
async def test_unknown_message_is_not_found(graphql: GraphQL, operation: str) -> None:
    error = await graphql.refusal(operation, input={"id": "msg_none"})

    assert error["message"] == "No message found with id 'msg_none'."
    assert error["extensions"] == {"code": "not_found", "param": None, "type": "invalid_request_error"}


@pytest.mark.parametrize(
    "content",
    [{}, {"text": "a", "parts": []}, {"text": None}, {"parts": [{"text": "a", "imageFile": {"fileId": "f"}}]}],
    ids=["neither", "both", "null", "part of two kinds"],
)
async def test_content_is_exactly_one_kind(graphql: GraphQL, thread_id: str, content: dict[str, Any]) -> None:
    error = await graphql.refusal(CREATE_MESSAGE, input={"threadId": thread_id, "role": "USER", "content": content})

    assert error["extensions"]["code"] == "graphql_error"


async def test_second_delete_is_not_found(rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str) -> None:
    await rest.delete(f"/threads/{thread_id}")

    error = await graphql.refusal(DELETE_THREAD, input={"id": thread_id})

    assert error["extensions"]["code"] == "not_found"


async def _message(graphql: GraphQL, thread_id: str) -> str:
    new = {"threadId": thread_id, "role": "USER", "content": {"text": "hi"}, "metadata": {"old": "1"}}
    message_id: str = (await graphql(CREATE_MESSAGE, input=new))["createMessage"]["message"]["id"]
    return message_id
