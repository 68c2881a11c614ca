"""Responses that are too large, or take too long without awaiting, in both executors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from graphql import ExecutionResult

from gateway.graphql.execution import answer_size, runner
from gateway.graphql.execution.answer_size import bounded, meter
from gateway.graphql.refusal import Refused
from tests.graphql.serving import serving
from tests.make import make_thread, put_message, text_part

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from tests.faces import GraphQL

PARTS = "content { __typename ... on TextContent { text { value } } }"
PAGE = "messages(first: 100) { nodes { %s } pageInfo { hasNextPage } }"
EITHER = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "normal"])


@pytest.fixture(autouse=True)
def _executed(monkeypatch: pytest.MonkeyPatch, *, compiled: bool) -> None:
    monkeypatch.setattr(runner, "COMPILES", compiled)


def aliased(page: str, count: int) -> str:
    """Ask for the same page several times."""
    asked = " ".join(f"a{n}: thread(id: $id) {{ {page} }}" for n in range(count))
    return f"query($id: ID!) {{ {asked} }}"


@EITHER
@pytest.mark.one_on_postgres
@pytest.mark.parametrize(
    ("parts", "count", "is_answered"),
    [(90, 10, True), (110, 10, False), (900, 1, True), (1_100, 1, False), (155_000, 10, False)],
)
async def test_response_with_too_many_objects_is_refused(
    store: Store,
    who: Principal,
    graphql: GraphQL,
    monkeypatch: pytest.MonkeyPatch,
    parts: int,
    count: int,
    *,
    is_answered: bool,
) -> None:
    monkeypatch.setattr(answer_size, "_OBJECTS", 2_000)
    thread_id = await make_thread(store, who)
    await put_message(store, who, thread_id, content=[text_part("{}")] * parts)
    query = aliased(PAGE % PARTS, count)

    answer = await graphql.answer(query, id=thread_id)

    # Each part is two objects, and there are some around them.
    assert ("data" in answer) is is_answered
    assert is_answered or answer == TOO_LARGE


@EITHER
@pytest.mark.one_on_postgres
@pytest.mark.parametrize("field", ["text", PARTS])
async def test_repeated_long_text_is_refused(store: Store, who: Principal, graphql: GraphQL, field: str) -> None:
    thread_id = await make_thread(store, who)
    await put_message(store, who, thread_id, content=[text_part('1 MB "as said"' + "é" * 500_000)])
    both = [" ".join(f"f{n}: {field}" for n in range(count)) for count in (15, 17)]

    fits, is_too_large = [await graphql.answer(aliased(PAGE % each, 1), id=thread_id) for each in both]

    assert "errors" not in fits
    assert is_too_large == TOO_LARGE


@EITHER
async def test_pages_with_too_many_bytes_in_total_are_refused(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who)
    for _ in range(9):
        await put_message(store, who, thread_id, content=[text_part("x" * 1_000_000)])

    two, three = [await graphql.answer(aliased(PAGE % "id", count), id=thread_id) for count in (2, 3)]

    assert [len(two["data"][each]["messages"]["nodes"]) for each in ("a0", "a1")] == [8, 8]
    assert [two["data"][each]["messages"]["pageInfo"]["hasNextPage"] for each in ("a0", "a1")] == [True, True]
    assert three == TOO_LARGE


@pytest.mark.parametrize("compiled", [True])
async def test_an_inbox_of_large_messages_ends_early_and_continues_at_its_end(
    store: Store, who: Principal, graphql: GraphQL
) -> None:
    for _ in range(18):
        await put_message(store, who, await make_thread(store, who), content=[text_part("x" * 1_000_000)])
    query = """query($after: String) { threads(orderBy: ACTIVITY, first: 100, after: $after) {
      nodes { id preview(length: 10) lastMessage { id } } pageInfo { hasNextPage endCursor } } }"""
    pages = [(await graphql.answer(query))["data"]["threads"]]
    while (place := pages[-1]["pageInfo"])["hasNextPage"]:
        pages.append((await graphql.answer(query, after=place["endCursor"]))["data"]["threads"])

    nodes = [node for each in pages for node in each["nodes"]]

    assert [len(each["nodes"]) for each in pages] == [8, 8, 2]
    assert {each["preview"] for each in nodes} == {"x" * 10 + "…"}
    assert len({each["id"] for each in nodes}) == 18


@EITHER
async def test_nodes_returns_all_messages_or_an_error(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who)
    made = [await put_message(store, who, thread_id, content=[text_part("x" * 1_000_000)]) for _ in range(17)]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    fits, is_too_large = [await graphql.answer(query, ids=[each.id for each in made[:count]]) for count in (16, 17)]

    assert [each["id"] for each in fits["data"]["nodes"]] == [each.id for each in made[:16]]
    assert is_too_large == TOO_LARGE


@EITHER
async def test_deadline_stops_execution_that_never_awaits(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    await put_message(store, who, thread_id, content=[text_part("a")] * 24_000)
    fields = " ".join(f"f{n}: type" for n in range(25))
    query = aliased(PAGE % f"content {{ ... on TextContent {{ {fields} }} }}", 1)

    async with serving(store, timeout_s=0.05) as http:
        answer = (await ask(http, query, id=thread_id)).json()

    [error] = answer["errors"]
    assert error["extensions"]["code"] == "deadline_exceeded"


@EITHER
async def test_batch_has_the_size_limit_of_one_response(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    await put_message(store, who, thread_id, content=[text_part("x" * 7_000_000)])
    one = {"query": aliased(PAGE % "text", 1), "variables": {"id": thread_id}}

    async with serving(store, batch=3) as http:
        answers = (await http.post("http://gateway/graphql", json=[one] * 3)).json()

    assert ["data" in each for each in answers] == [True, True, False]
    assert answers[2] == TOO_LARGE


@pytest.mark.parametrize("compiled", [True])
def test_braces_in_strings_are_not_counted_as_objects() -> None:
    text = '{"' * 60_000

    written = bounded(_result({"a": text}), meter(1), 3)

    assert orjson.loads(orjson.dumps(written.data)) == {"a": text}
    with pytest.raises(Refused):
        bounded(_result({"a": [{"b": text[:9]}] * 50_001}), meter(1), 3)


def _result(data: dict[str, Any]) -> Any:
    return ExecutionResult(data, None)


async def ask(http: httpx.AsyncClient, query: str, **variables: Any) -> httpx.Response:
    """Ask a server."""
    return await http.post("http://gateway/graphql", json={"query": query, "variables": variables})


TOO_LARGE = {
    "errors": [
        {
            "message": "The response would be too large. Request fewer or smaller objects at once.",
            "extensions": {"code": "answer_too_large", "param": None, "type": "invalid_request_error"},
        }
    ]
}
