from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from graphql import get_introspection_query

from gateway.graphql.options import Options, options_of
from gateway.settings.load import export_to_environment, load_settings
from gateway.settings.table import SETTINGS, Settings
from tests.graphql.serving import RESPONSE, URL, serving

if TYPE_CHECKING:
    from gateway.store.store import Store

pytestmark = pytest.mark.one_on_postgres

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
        pytest.param("{ a: __schema { queryType { name } } }", id="with an alias"),
        pytest.param("{ ...a } fragment a on Query { ... { __schema { queryType { name } } } }", id="in a fragment"),
    ],
)
async def test_disabled_introspection_is_refused(store: Store, document: str) -> None:
    refused = await error(store, document, introspection=False)

    assert refused["extensions"]["code"] == "introspection_disabled"


async def test_type_is_null_without_introspection(store: Store) -> None:
    query = '{ a: __type(name: "Thread") { name fields { name } } b: __type(name: "None") { name } __typename }'

    async with serving(store, introspection=False) as http:
        answer = await http.post(URL, json={"query": query})

    assert answer.json() == {"data": {"a": None, "b": None, "__typename": "Query"}}


async def test_type_is_found_with_introspection(store: Store) -> None:
    async with serving(store) as http:
        answer = await http.post(URL, json={"query": '{ __type(name: "Thread") { name } }'})

    assert answer.json() == {"data": {"__type": {"name": "Thread"}}}


async def test_queries_work_without_introspection(store: Store) -> None:
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
async def test_suggestions_can_be_disabled(store: Store, document: str, variables: Any, hidden: str) -> None:
    with_suggestions = await error(store, document, variables)
    without = await error(store, document, variables, suggestions=False)

    assert f"'{hidden}'" in with_suggestions["message"]
    assert "Did you mean" not in without["message"]
    assert f"'{hidden}'" not in without["message"]


async def test_graphiql_is_served_to_browsers(store: Store) -> None:
    async with serving(store) as http:
        answer = await http.get(URL, headers={"accept": "text/html"})

    assert answer.headers["content-type"].startswith("text/html")


async def test_graphiql_can_be_disabled(store: Store) -> None:
    async with serving(store, graphiql=False) as http:
        answer = await http.get(URL, headers={"accept": "text/html"})

    assert answer.status_code == 406
    assert "html" not in answer.headers["content-type"]


@pytest.mark.parametrize(
    ("accept", "graphiql"), [("*/*", True), ("*/*", False), ("text/html,application/xhtml+xml", False)]
)
async def test_root_lists_the_urls_of_both_apis(store: Store, accept: str, *, graphiql: bool) -> None:
    async with serving(store, graphiql=graphiql) as http:
        answer = await http.get("/", headers={"accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert re.findall(r"^  (/\w+)", answer.text, re.MULTILINE) == ["/v1", "/graphql"]


def test_development_profile_enables_all_three() -> None:
    settings = Settings()

    assert [getattr(settings, name) for name in SWITCHES] == [True, True, True]


def test_production_profile_disables_all_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PROFILE", "production")

    settings = load_settings()

    assert [getattr(settings, name) for name in SWITCHES] == [False, False, False]


def test_explicit_setting_overrides_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PROFILE", "production")
    monkeypatch.setenv("GATEWAY_INTROSPECTION", "true")

    settings = load_settings()

    assert [getattr(settings, name) for name in SWITCHES] == [True, False, False]


def test_workers_have_the_same_options(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({"profile": "production", "graphql_cost": "7"})
    for name in SETTINGS:
        monkeypatch.setenv(f"GATEWAY_{name.upper()}", "")  # so that all of it is undone

    export_to_environment(settings)

    assert load_settings() == settings


def test_settings_have_the_default_options() -> None:
    assert options_of(Settings()) == Options()
