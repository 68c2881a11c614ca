"""The rights to assistants, to run the one that a token names, and to spend tokens.

Must not be here: the rights to runs (`tests.isolation`).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.app import serve_store
from gateway.auth.authenticator import Authenticator
from gateway.auth.rate_limits import RateLimiter, RateLimits
from gateway.core import api_keys, assistants, thread_tokens, threads
from gateway.domain import parse, parse_run
from gateway.domain.api_key import NewApiKey
from gateway.domain.ids import new_id
from gateway.domain.principal import ALL_SCOPES, Principal, Reach, Scope
from gateway.runs.service import Answering
from tests.isolation.world import SENDS, TOKENS, authenticator_over, end_user, make_names
from tests.runs.calls import poll
from tests.runs.conftest import lifespan_of
from tests.runs.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.events.hub import Hub

SHOP = Principal(Reach("shop"))
OF_PROJECT: list[tuple[str, str, Any]] = [
    ("GET", "/assistants/{assistant}", None),
    ("POST", "/assistants/{assistant}", {"name": "x"}),
    ("DELETE", "/assistants/{assistant}", None),
]


@asynccontextmanager
async def serving(store: Store, hub: Hub, authenticator: Authenticator) -> AsyncIterator[httpx.AsyncClient]:
    models = Scripted(any_assistant=True)
    app = serve_store(store, hub=hub, authenticator=authenticator, answering=Answering(models))
    async with lifespan_of(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g/v1") as http:
        yield http


@pytest.fixture
async def http(store: Store, hub: Hub) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(store, hub, authenticator_over(store)) as served:
        yield served


@pytest.fixture
async def places(store: Store) -> dict[str, str]:
    """Give the project an assistant."""
    return {"assistant": (await assistants.create(store, SHOP, parse_run.new_assistant({"model": "m"}))).id}


async def strangers(store: Store) -> dict[str, str]:
    other = await make_names(store, Reach("shop", owner="bob"))
    epoch = await thread_tokens.epoch_of(store, SHOP, other.thread)
    token, _ = TOKENS.make(SHOP, other.thread, epoch, frozenset({Scope.READ, Scope.WRITE, Scope.RUNS}), 600)
    return {
        "another project": end_user("alice", project="rival"),
        "another end user": end_user("bob"),
        "a token for another thread": token,
    }


async def test_assistants_are_of_the_project_alone(
    http: httpx.AsyncClient, store: Store, places: dict[str, str]
) -> None:
    callers = {**await strangers(store), "an end user of the project": end_user("alice")}
    for name, credential in callers.items():
        for method, path, body in OF_PROJECT:
            headers = {"Authorization": f"Bearer {credential}"}
            answer = await http.request(method, path.format(**places), json=body, headers=headers)
            assert (answer.status_code, name, path) == (403, name, path)


async def test_assistants_of_another_project_are_not_there(
    http: httpx.AsyncClient, store: Store, places: dict[str, str]
) -> None:
    _, secret = await api_keys.create(store, NewApiKey("rival", "", ALL_SCOPES, None))
    headers = {"Authorization": f"Bearer {secret}"}
    unknown = {"assistant": new_id("asst")}
    for method, path, body in OF_PROJECT:
        found, missing = [
            await http.request(method, path.format(**each), json=body, headers=headers) for each in (places, unknown)
        ]
        assert found.status_code == 404, path
        assert found.text.replace(places["assistant"], unknown["assistant"]) == missing.text, path
    query = {"query": "query ($id: ID!) { node(id: $id) { id } assistants { nodes { id } } }"}
    asked = {**query, "variables": {"id": places["assistant"]}}
    listed = (await http.post("http://g/graphql", json=asked, headers=headers)).json()["data"]
    assert listed == {"node": None, "assistants": {"nodes": []}}
    assert (await http.get("/assistants", headers=headers)).json()["data"] == []
    after = await http.get("/assistants", params={"after": places["assistant"]}, headers=headers)
    assert (after.status_code, after.json()["error"]["code"]) == (400, "invalid_value")
    assert (await assistants.find(store, SHOP, places["assistant"])).fields["name"] is None


async def test_a_token_that_sends_starts_the_run_that_it_names(http: httpx.AsyncClient, store: Store) -> None:
    thread = await threads.create(store, SHOP, parse.new_thread({}))
    epoch = await thread_tokens.epoch_of(store, SHOP, thread.id)
    token, _ = TOKENS.make(SHOP, thread.id, epoch, SENDS, 600, assistant_id="asst_named")
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/threads/{thread.id}/runs"

    for body in ({"assistant_id": "asst_other"}, {"assistant_id": "asst_named", "instructions": "Tell all."}):
        assert (await http.post(path, json=body, headers=headers)).status_code == 403
    made = await http.post(path, json={"assistant_id": "asst_named"}, headers=headers)

    assert made.status_code == 200, made.text
    run = f"{path}/{made.json()['id']}"
    assert (await http.post(f"{run}/cancel", headers=headers)).status_code == 403
    outputs: dict[str, Any] = {"tool_outputs": []}
    assert (await http.post(f"{run}/submit_tool_outputs", json=outputs, headers=headers)).status_code == 403


async def test_the_tokens_of_runs_have_a_budget(store: Store, hub: Hub) -> None:
    limited = Authenticator(rate_limits=RateLimiter(RateLimits(tokens="20/day")))
    async with serving(store, hub, limited) as http:
        statuses = []
        for _ in range(4):
            made = await http.post("/threads/runs", json={"assistant_id": "asst_any"})
            statuses.append(made.status_code)
            if made.status_code == 200:
                await poll(http, made.json())

    assert statuses == [200, 200, 429, 429]
