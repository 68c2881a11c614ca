from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from graphql import get_introspection_query

from gateway.app import graphql_options
from gateway.graphql.options import Options
from gateway.settings.load import export_to_environment, load_settings
from gateway.settings.table import SETTINGS, Settings
from tests.graphql.serving import RESPONSE, URL, serving

if TYPE_CHECKING:
    from gateway.store.store import Store

SWITCHES = ("introspection", "suggestions", "graphiql")


async def error(store: Store, query: str, variables: Any = None, **options: Any) -> Any:
    """Send a document that must be refused, and give its first error."""
    async with serving(store, **options) as http:
        answer = await http.post(URL, json={"query": query, "variables": variables}, headers=RESPONSE)
    assert answer.status_code == 400
    return answer.json()["errors"][0]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(get_introspection_query(), id="GraphiQL's"),
        pytest.param("{ a: __schema { queryType { name } } }", id="behind an alias"),
        pytest.param("{ ...a } fragment a on Query { ... { __schema { queryType { name } } } }", id="in a fragment"),
    ],
)
async def test_introspection_that_is_switched_off_is_refused(store: Store, document: str) -> None:
    refused = await error(store, document, introspection=False)

    assert refused["extensions"]["code"] == "introspection_disabled"


async def test_no_type_is_found_where_introspection_is_switched_off(store: Store) -> None:
    query = '{ a: __type(name: "Thread") { name fields { name } } b: __type(name: "None") { name } __typename }'

    async with serving(store, introspection=False) as http:
        answer = await http.post(URL, json={"query": query})

    assert answer.json() == {"data": {"a": None, "b": None, "__typename": "Query"}}


async def test_a_type_is_found_where_introspection_is_on(store: Store) -> None:
    async with serving(store) as http:
        answer = await http.post(URL, json={"query": '{ __type(name: "Thread") { name } }'})

    assert answer.json() == {"data": {"__type": {"name": "Thread"}}}


async def test_the_store_is_read_the_same_where_introspection_is_switched_off(store: Store) -> None:
    made = 'mutation { createThread(input: { messages: [{ role: USER, content: { text: "a" } }] }) { thread { id } } }'
    read = "{ threads { nodes { __typename messages { nodes { __typename content { __typename } } } } } }"

    async with serving(store, introspection=False) as http:
        await http.post(URL, json={"query": made})
        answer = await http.post(URL, json={"query": read})

    [thread] = answer.json()["data"]["threads"]["nodes"]
    [message] = thread["messages"]["nodes"]
    assert thread["__typename"] == "Thread"
    assert message == {"__typename": "Message", "content": [{"__typename": "TextContent"}]}


@pytest.mark.parametrize(
    ("document", "variables", "hidden"),
    [
        pytest.param("{ threds { nodes { id } } }", None, "threads", id="a field"),
        pytest.param("{ threads(frist: 1) { nodes { id } } }", None, "first", id="an argument"),
        pytest.param("{ threads(order: DECS) { nodes { id } } }", None, "DESC", id="an enum value"),
        pytest.param("{ node(id: 1) { ... on Thred { id } } }", None, "Thread", id="a type"),
        pytest.param(
            'mutation { updateThread(input: { id: "a", metadat: {} }) { thread { id } } }',
            None,
            "metadata",
            id="an input key",
        ),
        pytest.param(
            "query ($o: SortOrder!) { threads(order: $o) { nodes { id } } }", {"o": "DECS"}, "DESC", id="in a variable"
        ),
    ],
)
async def test_suggestions_are_switched_off_everywhere(
    store: Store, document: str, variables: Any, hidden: str
) -> None:
    with_suggestions = await error(store, document, variables)
    without = await error(store, document, variables, suggestions=False)

    assert f"'{hidden}'" in with_suggestions["message"]
    assert "Did you mean" not in without["message"]
    assert f"'{hidden}'" not in without["message"]


async def test_the_page_is_shown_to_browsers(store: Store) -> None:
    async with serving(store) as http:
        answer = await http.get(URL, headers={"accept": "text/html"})

    assert answer.headers["content-type"].startswith("text/html")


async def test_the_page_can_be_switched_off(store: Store) -> None:
    async with serving(store, graphiql=False) as http:
        answer = await http.get(URL, headers={"accept": "text/html"})

    assert answer.status_code == 406
    assert "html" not in answer.headers["content-type"]


@pytest.mark.parametrize(
    ("accept", "graphiql"), [("*/*", True), ("*/*", False), ("text/html,application/xhtml+xml", False)]
)
async def test_the_root_tells_programs_where_the_faces_are_and_browsers_where_there_is_no_page(
    store: Store, accept: str, *, graphiql: bool
) -> None:
    async with serving(store, graphiql=graphiql) as http:
        answer = await http.get("/", headers={"accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert re.findall(r"^  (/\w+)", answer.text, re.MULTILINE) == ["/v1", "/graphql"]


def test_a_developer_has_all_three() -> None:
    settings = Settings()

    assert [getattr(settings, name) for name in SWITCHES] == [True, True, True]


def test_production_has_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PROFILE", "production")

    settings = load_settings()

    assert [getattr(settings, name) for name in SWITCHES] == [False, False, False]


def test_what_is_said_goes_before_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PROFILE", "production")
    monkeypatch.setenv("GATEWAY_INTROSPECTION", "true")

    settings = load_settings()

    assert [getattr(settings, name) for name in SWITCHES] == [True, False, False]


def test_workers_are_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    told = load_settings({"profile": "production", "graphql_cost": "7"})
    for name in SETTINGS:
        monkeypatch.setenv(f"GATEWAY_{name.upper()}", "")  # so that all of it is undone

    export_to_environment(told)

    assert load_settings() == told


def test_the_defaults_of_the_settings_are_those_of_the_face() -> None:
    assert graphql_options(Settings()) == Options()
