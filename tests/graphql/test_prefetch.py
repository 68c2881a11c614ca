"""Any selection of messages has the same result, prefetched as rows or read as whole messages."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import messages, streaming, threads
from gateway.domain import ids
from gateway.domain.message import IncompleteReason, Status
from gateway.domain.page import PageRequest, Rows
from gateway.graphql.execution import runner
from gateway.graphql.schema.types import MessagePage
from tests.graphql.serving import statements_of
from tests.make import ATTACHMENTS, fill_thread, list_page, make_thread, put_message, text_part

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal
    from tests.faces import GraphQL

TEXT = """content { __typename ... on TextContent { text { value annotations { __typename } } }
  ... on RefusalContent { refusal } }"""
TIMES = ("createdAt", "completedAt", "incompleteAt")
FIELDS = ("id", "threadId", "role", "status", "text", "metadata", "runId", "assistantId", "incompleteReason", *TIMES)
CHOICES = (
    *FIELDS,
    TEXT,
    "attachments { fileId }",
    "thread { id }",
    "thread { createdAt }",
    "__typename",
    "again: role",
)
LISTS = ("nodes { %s }", "edges { cursor node { %s } }", "edges { node { %s } } pageInfo { startCursor endCursor }")
PLACE = {"type": "file_path", "text": "x", "start_index": 0, "end_index": 1, "file_path": {"file_id": "file-1"}}


@given(
    chosen=st.lists(st.sampled_from(CHOICES), min_size=1, max_size=6, unique=True),
    lists=st.lists(st.sampled_from(LISTS), min_size=1, max_size=2, unique=True),
    window=st.sampled_from(["first: 3", "last: 3", "first: 9", "last: 2, order: ASC"]),
    total=st.sampled_from(["", "totalCount"]),
)
async def test_any_fields_are_the_same_with_and_without_prefetch(
    store: Store, who: Principal, graphql: GraphQL, chosen: list[str], lists: list[str], window: str, total: str
) -> None:
    thread_id = await _thread_of_all_kinds(store, who)
    selection = " ".join(each % " ".join(chosen) for each in lists)
    query = f"query($id: ID!) {{ thread(id: $id) {{ messages({window}) {{ {selection} {total} }} }} }}"

    assert await _answer(graphql, query, thread_id, compiled=True) == await _answer(
        graphql, query, thread_id, compiled=False
    )


ROOTS = (
    "query($id: ID!) { node(id: $id) { ...own } }",
    "query($id: ID!) { a: node(id: $id) { ...own } b: node(id: $id) { ...own } }",
    "query($id: ID!, $ids: [ID!]!) { nodes(ids: $ids) { ...own } last: nodes(ids: [$id, $id]) { ...own } }",
)


@given(chosen=st.lists(st.sampled_from(CHOICES), min_size=1, max_size=6, unique=True), root=st.sampled_from(ROOTS))
async def test_any_fields_of_nodes_are_the_same_with_and_without_prefetch(
    store: Store, who: Principal, graphql: GraphQL, chosen: list[str], root: str
) -> None:
    thread_id = await _thread_of_all_kinds(store, who)
    made = [each.id for each in (await list_page(store, who, thread_id, PageRequest())).items]
    query = (
        f"{root} fragment own on Node {{ id ... on Message {{ {' '.join(chosen)} }} ... on Thread {{ createdAt }} }}"
    )
    for each in made:
        asked = {"ids": [*made, thread_id, "msg_nowhere", "run_nowhere", each]} if "$ids" in root else {}
        compiled, normal = [await _answer(graphql, query, each, compiled=way, **asked) for way in (True, False)]

        assert compiled == normal


@given(
    asked=st.sampled_from(["messages", "id messages", "a: messages", "messages createdAt"]),
    sizes=st.sampled_from(["first: 2", "last: 2", "first: 9", "last: 9"]),
    order=st.sampled_from(["ASC", "DESC"]),
    after=st.none() | st.integers(0, 7),
    before=st.none() | st.integers(0, 7),
    run_id=st.sampled_from([None, "run_a"]),
)
async def test_any_page_is_the_same_with_and_without_prefetch(
    store: Store,
    who: Principal,
    graphql: GraphQL,
    asked: str,
    sizes: str,
    order: str,
    after: int | None,
    before: int | None,
    run_id: str | None,
) -> None:
    thread_id, cursors = await _thread_with_gaps(store, who)
    bounds = {"after": after, "before": before}
    given = {name: cursors[place] for name, place in bounds.items() if place is not None}
    arguments = ", ".join([sizes, f"order: {order}", "runId: $run", *(f"{name}: ${name}" for name in given)])
    declared = "".join(f", ${name}: String" for name in given)
    page = f"({arguments}) {{ nodes {{ id }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }}"
    fields = asked.replace("messages", f"messages{page}")
    query = f"query($id: ID!, $run: ID{declared}) {{ thread(id: $id) {{ {fields} }} }}"

    prefetched, normal = [
        await _answer(graphql, query, thread_id, compiled=compiled, run=run_id, **given) for compiled in (True, False)
    ]

    assert "data" in normal
    assert prefetched == normal


@pytest.mark.parametrize(
    "query",
    [
        "query($id: ID!) { thread(id: $id) { messages { nodes { id text } } } }",
        "query($id: ID!) { a: thread(id: $id) { messages { edges { node { id } } pageInfo { hasNextPage } } } }",
        "query($id: ID!) { threads { nodes { messages(first: 1) { nodes { text } } } } node(id: $id) { id } }",
    ],
)
async def test_pages_are_freed_with_their_request_and_not_by_the_garbage_collector(
    store: Store, who: Principal, graphql: GraphQL, query: str
) -> None:
    thread_id = await make_thread(store, who, 3)
    await graphql(query, id=thread_id)
    gc.collect()
    gc.disable()
    try:
        await graphql(query, id=thread_id)
        left = [each for each in gc.get_objects() if isinstance(each, Rows | MessagePage)]
    finally:
        gc.enable()

    assert left == []


@pytest.mark.parametrize("has_cursor", [False, True], ids=["first", "after a cursor"])
async def test_a_page_that_is_selected_alone_is_read_without_its_thread(
    store: Store, who: Principal, graphql: GraphQL, monkeypatch: pytest.MonkeyPatch, *, has_cursor: bool
) -> None:
    monkeypatch.setattr(runner, "COMPILES", True)  # whatever the others are executed by: it takes a plan
    thread_id = await make_thread(store, who)
    newest = (await fill_thread(store, who, thread_id, [None] * 3))[-1]
    query = """query($id: ID!, $after: String) { thread(id: $id) { id messages(after: $after) {
        nodes { id } pageInfo { hasPreviousPage } } } }"""

    with statements_of(store) as ran:
        found = await graphql(query, id=thread_id, after=newest.id if has_cursor else None)

    assert len(ran) == 1
    assert "tool_resources" not in ran[0]
    assert found["thread"]["messages"]["pageInfo"]["hasPreviousPage"] is has_cursor


@pytest.mark.parametrize("compiled", [True, False])
async def test_unknown_thread_is_null_with_a_page(
    store: Store, who: Principal, graphql: GraphQL, *, compiled: bool
) -> None:
    thread_id = await make_thread(store, who)
    await threads.delete(store, who, thread_id)

    query = "query($id: ID!) { thread(id: $id) { messages { nodes { id } } } }"
    answer = await _answer(graphql, query, thread_id, compiled=compiled)

    assert answer == {"data": {"thread": None}}


async def _answer(graphql: GraphQL, query: str, own_id: str, *, compiled: bool, **variables: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "COMPILES", compiled)
        return await graphql.answer(query, id=own_id, **variables)


async def _thread_with_gaps(store: Store, who: Principal) -> tuple[ThreadId, list[str]]:
    """Make a thread of messages of two runs, of which two were deleted, and name all; the last one never was there."""
    thread_id = await make_thread(store, who)
    made = await fill_thread(store, who, thread_id, ["run_a", None, "run_b", "run_a", "run_a", None, "run_a"])
    for each in (made[2], made[5]):
        await messages.delete(store, who, thread_id, ids.MessageId(each.id))
    return thread_id, [*(each.id for each in made), "msg_nowhere"]


async def _thread_of_all_kinds(store: Store, who: Principal) -> ThreadId:
    thread_id = await make_thread(store, who, count=1)
    await put_message(store, who, thread_id, content=[text_part('a "quote" 🙂', [PLACE])], attachments=ATTACHMENTS)
    await put_message(store, who, thread_id, content=[{"type": "refusal", "refusal": "no"}], run_id="run_a")
    growing = await put_message(store, who, thread_id, status=Status.IN_PROGRESS, content=[text_part("so")])
    await streaming.append_text(store, who, ids.MessageId(growing.id), " far")
    await put_message(
        store,
        who,
        thread_id,
        status=Status.INCOMPLETE,
        incomplete_reason=IncompleteReason.MAX_TOKENS,
        incomplete_at=1_750_000_000,
    )
    return thread_id
