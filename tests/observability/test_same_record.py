"""Both faces return the same data of a thread or a message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gateway.domain.message import IncompleteReason, Role, Status
from tests.graphql.operations import NODE
from tests.make import ATTACHMENTS, EVERY_PART, SOME_SECOND, make_thread, put_message

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from tests.faces import GraphQL

Json = dict[str, Any]

MESSAGES: list[Json] = [
    {"content": EVERY_PART, "attachments": ATTACHMENTS, "metadata": {"k": "v", "ü": "🙂"}, "completed_at": SOME_SECOND},
    {"role": Role.USER, "content": [EVERY_PART[0]], "run_id": "run_1", "assistant_id": "asst_1"},
    {"status": Status.IN_PROGRESS},
    {"status": Status.INCOMPLETE, "incomplete_at": SOME_SECOND, "incomplete_reason": IncompleteReason.MAX_TOKENS},
    *({"content": [part]} for part in EVERY_PART),
]


async def test_a_message_made_over_rest_is_read_over_graphql(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str
) -> None:
    made = (await rest.post(f"/threads/{thread_id}/messages", json={"role": "user", "content": "hi"})).json()

    data = await graphql("query($id: ID!) { node(id: $id) { ... on Message { text } } }", id=made["id"])

    assert data == {"node": {"text": "hi"}}


@pytest.mark.uncounted
async def test_both_faces_return_the_same_message(
    store: Store, who: Principal, rest: httpx.AsyncClient, graphql: GraphQL
) -> None:
    thread_id = await make_thread(store, who)

    for fields in MESSAGES:
        message = await put_message(store, who, thread_id, **fields)
        wire = (await rest.get(f"/threads/{message.thread_id}/messages/{message.id}")).json()
        node = (await graphql(NODE, id=message.id))["node"]

        texts = [part["text"]["value"] for part in wire["content"] if part["type"] == "text"]
        assert node.pop("__typename") == "Message"
        assert node.pop("thread") == {"id": wire["thread_id"]}
        assert node.pop("text") == "\n".join(texts)
        assert node == _graphql_message(wire), fields


async def test_both_faces_return_the_same_list(
    store: Store, who: Principal, rest: httpx.AsyncClient, graphql: GraphQL
) -> None:
    thread_id = await make_thread(store, who, count=7)

    wire = (await rest.get(f"/threads/{thread_id}/messages", params={"limit": 3})).json()
    query = """query($id: ID!) { thread(id: $id) { messages(limit: 3) {
        nodes { id } pageInfo { startCursor endCursor hasNextPage } } } }"""
    found = (await graphql(query, id=thread_id))["thread"]["messages"]

    assert found == {
        "nodes": [{"id": each["id"]} for each in wire["data"]],
        "pageInfo": {"startCursor": wire["first_id"], "endCursor": wire["last_id"], "hasNextPage": wire["has_more"]},
    }


@pytest.mark.parametrize(
    "body",
    [{}, {"metadata": {"k": "v"}}, {"tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}}}],
    ids=["nothing", "metadata", "tool resources"],
)
async def test_both_faces_return_the_same_thread(rest: httpx.AsyncClient, graphql: GraphQL, body: Json) -> None:
    wire = (await rest.post("/threads", json=body)).json()

    node = (await graphql(NODE, id=wire["id"]))["node"]

    assert node == {
        "__typename": "Thread",
        "id": wire["id"],
        "createdAt": _time(wire["created_at"]),
        "metadata": wire["metadata"],
        "toolResources": wire["tool_resources"],
    }


def _graphql_message(wire: Json) -> Json:
    """Spell the wire's message as GraphQL does."""
    reason = wire["incomplete_details"] and wire["incomplete_details"]["reason"].upper()
    return {
        "id": wire["id"],
        "threadId": wire["thread_id"],
        "createdAt": _time(wire["created_at"]),
        "role": wire["role"].upper(),
        "status": wire["status"].upper(),
        "content": [_PARTS[part["type"]](part) for part in wire["content"]],
        "attachments": [
            {"fileId": each.get("file_id"), "tools": [tool["type"] for tool in each["tools"] or ()]}
            for each in wire["attachments"]
        ],
        "metadata": wire["metadata"],
        "runId": wire["run_id"],
        "assistantId": wire["assistant_id"],
        "completedAt": _time(wire["completed_at"]),
        "incompleteAt": _time(wire["incomplete_at"]),
        "incompleteReason": reason,
    }


def _text(part: Json) -> Json:
    annotations = [_annotation(each) for each in part["text"]["annotations"]]
    return {
        "__typename": "TextContent",
        "type": "text",
        "text": {"value": part["text"]["value"], "annotations": annotations},
    }


def _annotation(each: Json) -> Json:
    place = {"text": each["text"], "startIndex": each.get("start_index"), "endIndex": each.get("end_index")}
    if each["type"] == "file_path":
        return {"__typename": "FilePath", **place, "fileId": each["file_path"]["file_id"]}
    if each["type"] == "url_citation":
        cited = each["url_citation"]
        return {"__typename": "UrlCitation", **place, "url": cited["url"], "title": cited.get("title")}
    cited = each["file_citation"]
    return {"__typename": "FileCitation", **place, "fileId": cited["file_id"], "quote": cited.get("quote")}


def _image_file(part: Json) -> Json:
    image = part["image_file"]
    shown = {"fileId": image["file_id"], "detail": image.get("detail") or "auto"}
    return {"__typename": "ImageFileContent", "type": "image_file", "imageFile": shown}


def _image_url(part: Json) -> Json:
    return {"__typename": "ImageUrlContent", "type": "image_url", "imageUrl": part["image_url"]}


def _refusal(part: Json) -> Json:
    return {"__typename": "RefusalContent", "type": "refusal", "refusal": part["refusal"]}


_PARTS = {"text": _text, "image_file": _image_file, "image_url": _image_url, "refusal": _refusal}


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
