"""GraphQL refuses the same values as REST, with the same message and extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.graphql.test_mutation import (
    CREATE_MESSAGE,
    CREATE_THREAD,
    DELETE_MESSAGE,
    DELETE_THREAD,
    UPDATE_MESSAGE,
    UPDATE_THREAD,
)

if TYPE_CHECKING:
    import httpx

    from tests.faces import GraphQL

pytestmark = [pytest.mark.counted, pytest.mark.one_on_postgres]

Json = dict[str, Any]

# Metadata that either face may be given on anything.
METADATA: dict[str, Any] = {
    "17 pairs": {str(n): "" for n in range(17)},
    "long key": {"k" * 65: ""},
    "long value": {"k": "v" * 513},
    "a number in it": {"k": 1},
    "a list in it": {"k": ["v"]},
    "a text": "k=v",
    "a list": ["k"],
}
# Content as GraphQL's input has it, and as REST's body has it, and where in the input the fault lies.
CONTENT: dict[str, tuple[Json, Any, str]] = {
    "empty text": ({"text": ""}, "", "text"),
    "long text": ({"text": "x" * 256_001}, "x" * 256_001, "text"),
    "no parts": ({"parts": []}, [], "parts"),
    "empty part": (
        {"parts": [{"text": "a"}, {"text": ""}]},
        [{"type": "text", "text": "a"}, {"type": "text", "text": ""}],
        "parts[1].text",
    ),
    "data url": (
        {"parts": [{"imageUrl": {"url": "data:image/png;base64,AA=="}}]},
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
        "parts[0].imageUrl.url",
    ),
    "unknown detail": (
        {"parts": [{"imageUrl": {"url": "https://example.org", "detail": "max"}}]},
        [{"type": "image_url", "image_url": {"url": "https://example.org", "detail": "max"}}],
        "parts[0].imageUrl.detail",
    ),
    "empty detail": (
        {"parts": [{"imageFile": {"fileId": "f", "detail": ""}}]},
        [{"type": "image_file", "image_file": {"file_id": "f", "detail": ""}}],
        "parts[0].imageFile.detail",
    ),
    "empty file": (
        {"parts": [{"imageFile": {"fileId": ""}}]},
        [{"type": "image_file", "image_file": {"file_id": ""}}],
        "parts[0].imageFile.fileId",
    ),
}
ATTACHMENTS: dict[str, tuple[Json, Json, str]] = {
    "unknown tool": ({"fileId": "f", "tools": ["bash"]}, {"file_id": "f", "tools": [{"type": "bash"}]}, "tools[0]"),
    "empty file": ({"fileId": "", "tools": []}, {"file_id": "", "tools": []}, "fileId"),
}
RESOURCES: dict[str, Any] = {
    "unknown tool": {"bash": {}},
    "two stores": {"file_search": {"vector_store_ids": ["a", "b"]}},
    "stores to make": {"file_search": {"vector_stores": [{"file_ids": ["f"]}]}},
    "21 files": {"code_interpreter": {"file_ids": ["f"] * 21}},
    "a text": "x",
}
IDS = {"unknown": "{kind}_none", "impossible": "{kind}_!", "without prefix": "new", "empty": ""}


def cases_of(table: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", table.values(), ids=list(table))


@cases_of(CONTENT)
async def test_content_error_equals_rest(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, case: tuple[Json, Any, str]
) -> None:
    content, wire, place = case

    refused = await rest.post(f"/threads/{thread_id}/messages", json={"role": "user", "content": wire})
    error = await graphql.refusal(CREATE_MESSAGE, input=_message(thread_id, content=content))

    _assert_same(error, refused, f"input.content.{place}")


@cases_of(CONTENT)
async def test_content_error_in_a_new_thread_equals_rest(
    rest: httpx.AsyncClient, graphql: GraphQL, case: tuple[Json, Any, str]
) -> None:
    content, wire, place = case
    fine = {"role": "USER", "content": {"text": "a"}}

    refused = await rest.post(
        "/threads", json={"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": wire}]}
    )
    error = await graphql.refusal(CREATE_THREAD, input={"messages": [fine, {**fine, "content": content}]})

    _assert_same(error, refused, f"input.messages[1].content.{place}")


@cases_of(ATTACHMENTS)
async def test_attachments_error_equals_rest(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, case: tuple[Json, Json, str]
) -> None:
    attachment, wire, place = case

    body = {"role": "user", "content": "a", "attachments": [wire]}
    refused = await rest.post(f"/threads/{thread_id}/messages", json=body)
    error = await graphql.refusal(CREATE_MESSAGE, input=_message(thread_id, attachments=[attachment]))

    _assert_same(error, refused, f"input.attachments[0].{place}")


@cases_of(METADATA)
async def test_metadata_error_of_a_new_thread_equals_rest(rest: httpx.AsyncClient, graphql: GraphQL, case: Any) -> None:
    refused = await rest.post("/threads", json={"metadata": case})
    error = await graphql.refusal(CREATE_THREAD, input={"metadata": case})

    _assert_same(error, refused, _at(refused))


@cases_of(METADATA)
async def test_metadata_error_of_a_thread_update_equals_rest(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, case: Any
) -> None:
    refused = await rest.post(f"/threads/{thread_id}", json={"metadata": case})
    error = await graphql.refusal(UPDATE_THREAD, input={"id": thread_id, "metadata": case})

    _assert_same(error, refused, _at(refused))


@cases_of(METADATA)
async def test_metadata_error_of_a_new_message_equals_rest(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, case: Any
) -> None:
    refused = await rest.post(f"/threads/{thread_id}/messages", json={"role": "user", "content": "a", "metadata": case})
    error = await graphql.refusal(CREATE_MESSAGE, input=_message(thread_id, metadata=case))

    _assert_same(error, refused, _at(refused))


@cases_of(METADATA)
async def test_metadata_error_of_a_message_update_equals_rest(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, case: Any
) -> None:
    path = f"/threads/{thread_id}/messages"
    message_id = (await rest.post(path, json={"role": "user", "content": "a"})).json()["id"]

    refused = await rest.post(f"{path}/{message_id}", json={"metadata": case})
    error = await graphql.refusal(UPDATE_MESSAGE, input={"id": message_id, "metadata": case})

    _assert_same(error, refused, _at(refused))


async def test_error_of_too_many_merged_keys_equals_rest(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str
) -> None:
    await rest.post(f"/threads/{thread_id}", json={"metadata": {str(n): "" for n in range(16)}})

    refused = await rest.post(f"/threads/{thread_id}", json={"metadata": {"more": ""}})
    error = await graphql.refusal(UPDATE_THREAD, input={"id": thread_id, "metadata": {"more": ""}})

    _assert_same(error, refused, _at(refused))


@cases_of(RESOURCES)
async def test_tool_resources_error_equals_rest(rest: httpx.AsyncClient, graphql: GraphQL, case: Any) -> None:
    refused = await rest.post("/threads", json={"tool_resources": case})
    error = await graphql.refusal(CREATE_THREAD, input={"toolResources": case})

    _assert_same(error, refused, _at(refused))


@cases_of({name: text.format(kind="thread") for name, text in IDS.items() if text})
@pytest.mark.parametrize("deed", ["create a message", "update", "delete"])
async def test_thread_id_error_equals_rest(rest: httpx.AsyncClient, graphql: GraphQL, case: str, deed: str) -> None:
    if deed == "create a message":
        refused = await rest.post(f"/threads/{case}/messages", json={"role": "user", "content": "a"})
        error = await graphql.refusal(CREATE_MESSAGE, input=_message(case))
    elif deed == "update":
        refused = await rest.post(f"/threads/{case}", json={})
        error = await graphql.refusal(UPDATE_THREAD, input={"id": case})
    else:
        refused = await rest.delete(f"/threads/{case}")
        error = await graphql.refusal(DELETE_THREAD, input={"id": case})

    _assert_same(error, refused, "input.threadId" if deed == "create a message" else "input.id")


@cases_of({name: text.format(kind="msg") for name, text in IDS.items() if text})
@pytest.mark.parametrize("deed", ["update", "delete"])
async def test_message_id_error_equals_rest(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, case: str, deed: str
) -> None:
    path = f"/threads/{thread_id}/messages/{case}"
    if deed == "update":
        refused = await rest.post(path, json={})
        error = await graphql.refusal(UPDATE_MESSAGE, input={"id": case})
    else:
        refused = await rest.delete(path)
        error = await graphql.refusal(DELETE_MESSAGE, input={"id": case})

    _assert_same(error, refused, "input.id")


@pytest.mark.parametrize("field", ["runId", "assistantId"])
@pytest.mark.parametrize("reference", ["", "a b", "é", "x" * 129])
async def test_invalid_reference_has_its_argument_path(graphql: GraphQL, field: str, reference: str) -> None:
    messages = [{"role": "USER", "content": {"text": "a"}, **given} for given in ({}, {field: reference})]

    error = await graphql.refusal(CREATE_THREAD, input={"messages": messages})

    param = f"input.messages[1].{field}"
    assert error["extensions"] == {"code": "invalid_value", "param": param, "type": "invalid_request_error"}


@pytest.mark.parametrize("literal", ["{a: $nothing}", "{a: [$nothing]}"])
async def test_omitted_variable_in_metadata_is_accepted(graphql: GraphQL, literal: str) -> None:
    operation = f"mutation($nothing: String) {{ createThread(input: {{metadata: {literal}}}) {{ thread {{ id }} }} }}"

    answer = await graphql.answer(operation)

    assert [each["extensions"]["code"] for each in answer.get("errors", [])] in (
        [],
        ["invalid_type"],
        ["graphql_error"],
    )


def _message(thread_id: str, **fields: Any) -> Json:
    return {"threadId": thread_id, "role": "USER", "content": {"text": "a"}, **fields}


def _at(refused: httpx.Response) -> str:
    """Say where a place in a scalar of the input lies, whose own keys are the same in both faces."""
    param: str = refused.json()["error"]["param"]
    return f"input.{param.replace('tool_resources', 'toolResources', 1)}"


def _assert_same(error: Json, refused: httpx.Response, place: str) -> None:
    """GraphQL names a code also where the wire has null, after the kind of refusal, and a place in its arguments."""
    wire = refused.json()["error"]
    wire["code"] = wire["code"] or {404: "not_found", 400: "invalid_request"}[refused.status_code]
    wire["param"] = wire["param"] and place
    found = {"message": error["message"], **error["extensions"]}
    assert found == wire
