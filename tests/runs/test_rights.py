"""The rights to runs and assistants: no other project, end user or thread, and nobody without the scope."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.app import serve_store
from gateway.auth.authenticator import Authenticator
from gateway.auth.rate_limits import RateLimiter, RateLimits
from gateway.core import assistants, runs, thread_tokens, threads
from gateway.domain import parse, parse_run
from gateway.domain.principal import Principal, Reach, Scope
from gateway.runs.service import Answering
from tests.isolation.world import SENDS, TOKENS, authenticator_over, end_user, make_names
from tests.runs.calls import poll
from tests.runs.conftest import lifespan_of
from tests.runs.scripted import Scripted
from tests.runs.test_worker import NEW, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.events.hub import Hub

SHOP = Principal(Reach("shop"))
WAYS: list[tuple[str, str, Any]] = [
    ("GET", "/threads/{thread}/runs", None),
    ("POST", "/threads/{thread}/runs", {"assistant_id": "asst_any"}),
    ("GET", "/threads/{thread}/runs/{run}", None),
    ("POST", "/threads/{thread}/runs/{run}", {"metadata": {"a": "b"}}),
    ("POST", "/threads/{thread}/runs/{run}/cancel", {}),
    ("POST", "/threads/{thread}/runs/{run}/submit_tool_outputs", {"tool_outputs": []}),
    ("GET", "/threads/{thread}/runs/{run}/steps", None),
    ("GET", "/threads/{thread}/runs/{run}/steps/step_a", None),
]
OF_PROJECT: list[tuple[str, str, Any]] = [
    ("GET", "/assistants/{assistant}", None),
    ("POST", "/assistants/{assistant}", {"name": "x"}),
    ("DELETE", "/assistants/{assistant}", None),
]
QUERIES = [
    "query ($id: ID!) { run(id: $id) { id } }",
    "query ($id: ID!) { node(id: $id) { id } }",
    "mutation ($id: ID!) { cancelRun(input: {runId: $id}) { run { id } } }",
    "mutation ($id: ID!) { submitToolOutputs(input: {runId: $id, outputs: []}) { run { id } } }",
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
    """Give alice a thread with a run, and the project an assistant."""
    thread = await threads.create(store, SHOP, parse.new_thread({"owner": "alice"}))
    run = await runs.create(store, SHOP, thread.id, NEW, settle)
    assistant = await assistants.create(store, SHOP, parse_run.new_assistant({"model": "m"}))
    return {"thread": thread.id, "run": run.id, "assistant": assistant.id}


async def strangers(store: Store) -> dict[str, str]:
    other = await make_names(store, Reach("shop", owner="bob"))
    epoch = await thread_tokens.epoch_of(store, SHOP, other.thread)
    token, _ = TOKENS.make(SHOP, other.thread, epoch, frozenset({Scope.READ, Scope.WRITE, Scope.RUNS}), 600)
    return {
        "another project": end_user("alice", project="rival"),
        "another end user": end_user("bob"),
        "a token for another thread": token,
    }


async def test_runs_of_others_are_not_there(http: httpx.AsyncClient, store: Store, places: dict[str, str]) -> None:
    for name, credential in (await strangers(store)).items():
        headers = {"Authorization": f"Bearer {credential}"}
        for method, path, body in WAYS:
            answer = await http.request(method, path.format(**places), json=body, headers=headers)
            assert (answer.status_code, name, path) == (404, name, path)
        for query in QUERIES:
            asked = {"query": query, "variables": {"id": places["run"]}}
            found = (await http.post("http://g/graphql", json=asked, headers=headers)).json()
            assert "not_found" in str(found) or set(found["data"].values()) == {None}, (name, query, found)
    assert (await runs.get(store, SHOP, None, places["run"])).metadata == {}


async def test_assistants_are_of_the_project_alone(
    http: httpx.AsyncClient, store: Store, places: dict[str, str]
) -> None:
    callers = {**await strangers(store), "an end user of the project": end_user("alice")}
    for name, credential in callers.items():
        for method, path, body in OF_PROJECT:
            headers = {"Authorization": f"Bearer {credential}"}
            answer = await http.request(method, path.format(**places), json=body, headers=headers)
            assert (answer.status_code, name, path) == (403, name, path)


@pytest.mark.parametrize("way", range(len(WAYS)))
async def test_nothing_is_answered_without_a_credential(
    http: httpx.AsyncClient, places: dict[str, str], way: int
) -> None:
    method, path, body = WAYS[way]
    headers = {"Authorization": "Bearer wrong"}

    answer = await http.request(method, path.format(**places), json=body, headers=headers)

    assert answer.status_code == 401


async def test_a_run_needs_its_scope(http: httpx.AsyncClient, places: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {end_user('alice', scope='threads:read threads:write')}"}
    for method, path, body in [WAYS[1], *WAYS[3:6]]:
        answer = await http.request(method, path.format(**places), json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_scope"), path


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
