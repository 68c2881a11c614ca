"""The number of statements per operation does not depend on the number of threads."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from gateway.domain.ids import new_thread_id
from gateway.domain.thread import Thread
from gateway.graphql.execution import runner
from tests.graphql.serving import statements_of
from tests.make import SOME_SECOND, fill_thread, make_thread

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.principal import Principal
    from tests.faces import GraphQL

# Each operation, and what it costs however many threads and messages there are.
OPERATIONS = {
    "threads": ("threads(first: $n) { nodes { id metadata createdAt } pageInfo { hasNextPage } }", 1),
    "messages of each": ("threads(first: $n) { nodes { messages(first: 3) { totalCount nodes { text } } } }", 2),
    "the thread of each message": (
        "threads(first: $n) { nodes { messages(first: 3) { nodes { thread { id metadata } } } } }",
        3,
    ),
    "two pages of each": (
        "threads(first: $n) { nodes { a: messages(first: 1) { nodes { id } } b: messages(last: 1) { nodes { id } } } }",
        3,
    ),
    "where the pages lie": (
        "threads(first: $n) { nodes { messages(first: 3) { pageInfo { hasNextPage hasPreviousPage } } } }",
        2,
    ),
    "there and back again": (
        (
            "threads(first: $n) { nodes { messages(first: 2) { nodes { thread { "
            "messages(first: 2) { nodes { text } } } } } } }"
        ),
        4,
    ),
}


@pytest.mark.uncounted
async def test_number_of_statements_is_independent_of_the_page_size(
    store: Store, who: Principal, graphql: GraphQL
) -> None:
    for _ in range(20):
        await make_thread(store, who, count=4)

    for (name, (selection, cost)), size in product(OPERATIONS.items(), (2, 20)):
        with statements_of(store) as ran:
            await graphql(f"query($n: Int) {{ {selection} }}", n=size)

        assert len(ran) == cost, (name, size)


PAGE = """query($id: ID!, $after: String) { thread(id: $id) { metadata messages(first: 2, after: $after) {
  totalCount edges { cursor node { text } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""


@pytest.mark.parametrize("has_cursor", [False, True], ids=["first", "after a cursor"])
async def test_thread_with_a_page_is_one_round_trip(
    store: Store,
    who: Principal,
    graphql: GraphQL,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    has_cursor: bool,
) -> None:
    monkeypatch.setattr(runner, "COMPILES", True)  # whatever the others are executed by: it takes a plan
    thread_id = await make_thread(store, who, count=5)
    first = (await graphql(PAGE, id=thread_id))["thread"]["messages"]["pageInfo"]["endCursor"]

    with statements_of(store) as ran:
        found = await graphql(PAGE, id=thread_id, after=first if has_cursor else None)

    assert len(ran) == (2 if database_url.startswith("sqlite") else 1)  # there in one hop to the connection's thread
    assert found["thread"]["messages"]["totalCount"] == 5
    assert found["thread"]["messages"]["pageInfo"]["hasPreviousPage"] is has_cursor


async def test_nodes_needs_one_statement_per_type(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_ids = [await make_thread(store, who) for _ in range(10)]
    message_ids = [each.id for each in await fill_thread(store, who, thread_ids[0], [None] * 10)]

    with statements_of(store) as ran:
        await graphql("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[*thread_ids, *message_ids])

    assert len(ran) == 2


async def test_more_pages_than_fit_into_one_statement_are_read(store: Store, who: Principal, graphql: GraphQL) -> None:
    # SQLite joins 500 selects at most; six times a hundred threads ask for their pages in one step.
    thread_ids = [new_thread_id() for _ in range(600)]
    added = [Thread(each, SOME_SECOND, "{}", "{}", message_count=0) for each in thread_ids]
    await store.write(lambda transaction: transaction.add_threads(who.reach, added))
    lists = " ".join(f"n{n}: nodes(ids: $ids{n}) {{ ...pages }}" for n in range(6))
    given = ", ".join(f"$ids{n}: [ID!]!" for n in range(6))
    pages = "fragment pages on Thread { messages(first: 1) { nodes { id } } }"

    answer = await graphql.answer(
        f"query({given}) {{ {lists} }} {pages}", **{f"ids{n}": thread_ids[n * 100 : n * 100 + 100] for n in range(6)}
    )

    assert len(answer.get("errors", [])) == 0
