"""Answers about own objects reveal nothing of others', also when several are requested together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from gateway.app import serve_store
from gateway.core import api_keys
from gateway.domain.api_key import NewApiKey
from gateway.domain.principal import ALL_SCOPES, Principal, Reach
from gateway.graphql.documents.trusted import sha256
from gateway.graphql.options import Options
from tests.faces import GraphQL
from tests.graphql.serving import statements_of
from tests.isolation.world import Names, authenticator_over, end_user, make_names, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store

ALICE: Final = Reach("shop", owner="alice")
PAGE: Final = "{ nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }"
NODES: Final = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
NODE: Final = "query($id: ID!) { node(id: $id) { id } }"


@pytest.fixture
async def http(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    await api_keys.create(store, NewApiKey("shop", "", ALL_SCOPES, None))
    app = serve_store(store, Options(batch=10), authenticator=authenticator_over(store))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway/v1") as client:
        yield client


def come_as(http: httpx.AsyncClient, credential: str) -> GraphQL:
    http.headers["authorization"] = f"Bearer {credential}"
    return GraphQL(http)


async def credential_for(store: Store, kind: str, names: Names) -> str:
    if kind == "end user":
        return end_user("bob")
    return await token(store, Principal(Reach("shop")), names)


async def between_others(store: Store) -> Names:
    """Make a thread of bob's between two of alice's."""
    await make_names(store, ALICE)
    names = await make_names(store, Reach("shop", owner="bob"))
    await make_names(store, ALICE)
    return names


@pytest.mark.parametrize("kind", ["end user", "token"])
@pytest.mark.parametrize("asked", ["first: 1", "last: 1", "first: 1, order: ASC"])
async def test_the_ends_of_a_list_depend_only_on_reachable_threads(
    store: Store, http: httpx.AsyncClient, kind: str, asked: str
) -> None:
    own = await between_others(store)
    graphql = come_as(http, await credential_for(store, kind, own))

    found = (await graphql(f"{{ threads({asked}) {PAGE} }}"))["threads"]
    listed = (await http.get("/threads", params={"limit": 1})).json()

    assert found == {
        "nodes": [{"id": own.thread}],
        "pageInfo": {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": own.thread,
            "endCursor": own.thread,
        },
    }
    assert ([each["id"] for each in listed["data"]], listed["has_more"]) == ([own.thread], False)


@pytest.mark.parametrize("kind", ["end user", "token"])
async def test_a_list_has_last_messages_of_reachable_threads_alone(
    store: Store, http: httpx.AsyncClient, kind: str
) -> None:
    own = await between_others(store)
    come_as(http, await credential_for(store, kind, own))

    listed = (await http.get("/threads", params={"expand[]": "last_message"})).json()["data"]

    assert [(each["id"], each["last_message"]["id"]) for each in listed] == [(own.thread, own.growing)]


@pytest.mark.parametrize("kind", ["end user", "token"])
@pytest.mark.parametrize("side", ["after", "before"])
async def test_a_page_after_the_last_cursor_is_empty(
    store: Store, http: httpx.AsyncClient, kind: str, side: str
) -> None:
    own = await between_others(store)
    graphql = come_as(http, await credential_for(store, kind, own))

    found = (await graphql(f"query($at: String) {{ threads({side}: $at) {PAGE} }}", at=own.thread))["threads"]

    others_side = "hasPreviousPage" if side == "after" else "hasNextPage"
    assert found["nodes"] == []
    assert {end for end, is_so in found["pageInfo"].items() if is_so} == {others_side}


async def test_one_lookup_returns_each_its_own(store: Store, http: httpx.AsyncClient) -> None:
    hidden, own = await make_names(store, ALICE), await make_names(store, Reach("shop", owner="bob"))
    graphql = come_as(http, end_user("bob"))

    found = await graphql(NODES, ids=[hidden.thread, own.thread, hidden.message, own.message, hidden.thread])

    assert found["nodes"] == [None, {"id": own.thread}, None, {"id": own.message}, None]


async def test_requests_of_one_body_are_those_of_one_caller(store: Store, http: httpx.AsyncClient) -> None:
    hidden, own = await make_names(store, ALICE), await make_names(store, Reach("shop", owner="bob"))
    come_as(http, end_user("bob"))

    body = [{"query": NODE, "variables": {"id": each}} for each in (hidden.thread, own.thread, hidden.message)]
    answers = (await http.post("http://gateway/graphql", json=body)).json()

    assert answers == [{"data": {"node": None}}, {"data": {"node": {"id": own.thread}}}, {"data": {"node": None}}]


async def test_a_document_cached_for_one_client_runs_with_the_principal_of_another(
    store: Store, http: httpx.AsyncClient
) -> None:
    hidden = await make_names(store, ALICE)
    by_hash: dict[str, Any] = {
        "variables": {"id": hidden.thread},
        "extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(NODE)}},
    }
    come_as(http, end_user("alice"))
    first = await http.post("http://gateway/graphql", json={"query": NODE, **by_hash})
    come_as(http, end_user("bob"))

    second = await http.post("http://gateway/graphql", json=by_hash)

    assert (first.json(), second.json()) == ({"data": {"node": {"id": hidden.thread}}}, {"data": {"node": None}})


@pytest.mark.parametrize("owner", ["alice", "never"])
async def test_an_end_user_cannot_create_threads_for_another(store: Store, http: httpx.AsyncClient, owner: str) -> None:
    await make_names(store, ALICE)
    graphql = come_as(http, end_user("bob"))

    with statements_of(store) as seen:
        error = await graphql.refusal(
            "mutation($owner: String) { createThread(input: {owner: $owner}) { thread { id } } }", owner=owner
        )

    assert error["message"] == "Invalid 'owner'. Expected null or the calling end user."
    assert [each for each in seen if "threads" in each] == []


async def test_an_end_user_owns_the_threads_that_it_creates(http: httpx.AsyncClient) -> None:
    made = (await http.post("/threads", headers={"authorization": f"Bearer {end_user('bob')}"})).json()

    assert made["owner"] == "bob"


async def test_a_thread_token_cannot_create_tokens(store: Store, http: httpx.AsyncClient) -> None:
    own = await make_names(store, ALICE)
    graphql = come_as(http, await credential_for(store, "token", own))

    with statements_of(store) as seen:
        told = [await graphql.refusal("mutation { createThread(input: {}) { thread { id } } }")]
    error = (await http.post("/threads")).json()["error"]

    assert [each["extensions"]["code"] for each in told] + [error["code"]] == ["missing_scope"] * 2
    assert [each for each in seen if "threads" in each and "token_epoch" not in each] == []
