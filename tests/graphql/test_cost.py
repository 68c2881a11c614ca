from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from graphql import Executor, get_introspection_query, parse

from gateway.graphql.documents.cost import CostInput, cost_of
from gateway.graphql.schema.build import build_schema
from tests.graphql.serving import URL, serving, statements_of

if TYPE_CHECKING:
    import httpx

    from gateway.store.store import Store

SCHEMA = build_schema()._schema  # noqa: SLF001


def cost(text: str, **variables: Any) -> int:
    """Count the cost of a document's one operation."""
    executor = Executor.build(SCHEMA, parse(text), raw_variable_values=variables)
    assert isinstance(executor, Executor)
    asked = CostInput(SCHEMA, executor.fragment_definitions, executor.variable_values.coerced)
    return cost_of(executor.operation, asked)


@pytest.mark.parametrize(
    ("document", "variables", "expected"),
    [
        pytest.param("{ __typename }", {}, 0, id="no object"),
        pytest.param('{ thread(id: "a") { id metadata } }', {}, 1, id="one object"),
        pytest.param("{ threads { pageInfo { endCursor } } }", {}, 2, id="a connection and its page info"),
        pytest.param("{ threads { nodes { id } } }", {}, 21, id="twenty by default"),
        pytest.param("{ threads(first: 5) { nodes { id } } }", {}, 6, id="first"),
        pytest.param("{ threads(last: 5) { nodes { id } } }", {}, 6, id="last"),
        pytest.param("{ threads(limit: 5) { nodes { id } } }", {}, 6, id="limit"),
        pytest.param("{ threads(first: null) { nodes { id } } }", {}, 21, id="null is nothing"),
        pytest.param("{ threads(first: 0) { nodes { id } } }", {}, 1, id="none"),
        pytest.param("{ threads { totalCount } }", {}, 101, id="a number that is counted"),
        pytest.param("{ threads { a: totalCount b: totalCount totalCount } }", {}, 301, id="each time that it is"),
        pytest.param('{ thread(id: "a") { messages { totalCount } } }', {}, 2, id="a number that is kept"),
        pytest.param("{ threads(first: 5000) { nodes { id } } }", {}, 101, id="no page has more than 100"),
        pytest.param("{ threads(first: -5) { nodes { id } } }", {}, 1, id="less than nothing"),
        pytest.param("{ threads(first: 2, last: 7) { nodes { id } } }", {}, 8, id="the larger of two"),
        pytest.param("{ threads(first: 5) { edges { node { id } } } }", {}, 11, id="an edge is an object"),
        pytest.param(
            "{ threads(first: 5) { nodes { messages(last: 3) { nodes { id } } } } }",
            {},
            1 + 5 * (1 + 1 + 3),
            id="pages in pages",
        ),
        pytest.param("query($n: Int) { threads(first: $n) { nodes { id } } }", {"n": 7}, 8, id="a variable"),
        pytest.param("query($n: Int = 9) { threads(first: $n) { nodes { id } } }", {}, 10, id="a variable's default"),
        pytest.param("query($n: Int) { threads(first: $n) { nodes { id } } }", {}, 21, id="a variable left out"),
        pytest.param('{ nodes(ids: ["a", "b", "c"]) { id } }', {}, 3, id="as many as ids"),
        pytest.param("query($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a", "b"]}, 2, id="ids in a variable"),
        pytest.param('{ nodes(ids: "a") { id } }', {}, 1, id="one id coerced to a list"),
        pytest.param('query($i: ID!) { nodes(ids: [$i, "b"]) { id } }', {"i": "a"}, 2, id="a variable in a list"),
        pytest.param(
            "{ ...a ...b } fragment a on Query { threads { ...n } } fragment b on Query { threads { ...n } }"
            " fragment n on ThreadConnection { nodes { id } }",
            {},
            21,
            id="what merges counts once",
        ),
        pytest.param("{ a: threads { nodes { id } } b: threads { nodes { id } } }", {}, 42, id="aliases count each"),
        pytest.param(
            '{ node(id: "a") { ... on Thread { messages { nodes { id } } } ... on Message { thread { id } } } }',
            {},
            1 + 21 + 1,
            id="each kind that it may be",
        ),
        pytest.param(
            "{ threads(first: 5) { nodes { messages(first: 1) { nodes { content { ... on TextContent"
            " { text { annotations { ... on FilePath { fileId } } } } } } } } } }",
            {},
            1 + 5 * (1 + 1 + (1 + 1 + 1 + 1)),
            id="a list without a size counts one",
        ),
    ],
)
def test_cost_is_the_maximum_number_of_objects(document: str, variables: dict[str, Any], expected: int) -> None:
    assert cost(document, **variables) == expected


def test_introspection_of_graphiql_costs_less_than_a_third_of_the_limit() -> None:
    assert cost(get_introspection_query(input_value_deprecation=True)) < 5_000 / 3


async def test_mutation_cost_is_its_number_of_objects(thread_id: str) -> None:
    document = "mutation($t: ID!) { deleteThread(input: { id: $t }) { deletedThreadId } }"

    assert cost(document, t=thread_id) == 1


async def test_too_costly_operation_is_refused_before_any_statement(store: Store) -> None:
    async with serving(store, max_cost=20) as http:
        with statements_of(store) as statements:
            answer = await http.post(URL, json={"query": "{ threads { nodes { id } } }"})

    [error] = answer.json()["errors"]
    assert (error["extensions"]["requested"], error["extensions"]["limit"]) == (21, 20)
    assert statements == []


async def test_operation_at_the_cost_limit_runs(store: Store) -> None:
    async with serving(store, max_cost=21) as http:
        answer = await http.post(URL, json={"query": "{ threads { nodes { id } } }"})

    assert answer.json() == {"data": {"threads": {"nodes": []}}}


async def test_cost_header_is_sent_on_request(rest: httpx.AsyncClient) -> None:
    body = {"query": "{ threads { nodes { id } } }"}

    answer = await rest.post(URL, json=body, headers={"GraphQL-Cost": "1"})

    assert answer.json()["extensions"] == {"cost": {"requested": 21, "limit": 5_000}}


async def test_cost_header_is_absent_by_default(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(URL, json={"query": "{ __typename }"})

    assert answer.json() == {"data": {"__typename": "Query"}}
