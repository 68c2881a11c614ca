"""Runs over GraphQL: created, followed, continued and cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.graphql.serving import statements_of
from tests.rest.calls import add, new_thread
from tests.runs.calls import create, poll, texts
from tests.runs.scripted import calls, says

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from gateway.core import Store
    from tests.faces import GraphQL
    from tests.runs.scripted import Scripted

CREATE = (
    """mutation ($input: CreateRunInput!) { createRun(input: $input) { run { id status threadId assistantId } } }"""
)
READ = """query ($id: ID!) { thread(id: $id) { runs(first: 5) {
  pageInfo { hasNextPage hasPreviousPage } edges { cursor node { id } }
  nodes { id status model metadata usage { totalTokens } toolCalls { id name arguments } lastError { code }
    incompleteReason steps { status messageId toolCalls { name output } } thread { id } } } } }"""


async def test_a_run_is_created_and_read(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, assistant_id: str
) -> None:
    await add(rest, thread_id)
    given = {"threadId": thread_id, "assistantId": assistant_id, "metadata": {"a": "b"}}
    made = (await graphql(CREATE, input=given))["createRun"]["run"]
    assert made == {"id": made["id"], "status": "QUEUED", "threadId": thread_id, "assistantId": assistant_id}
    await poll(rest, {"id": made["id"], "thread_id": thread_id})

    page = (await graphql(READ, id=thread_id))["thread"]["runs"]
    [run] = page["nodes"]
    assert page["edges"] == [{"cursor": made["id"], "node": {"id": made["id"]}}]
    assert page["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": False}
    assert (run["status"], run["model"], run["metadata"]) == ("COMPLETED", "small", {"a": "b"})
    assert (run["usage"], run["thread"]) == ({"totalTokens": 12}, {"id": thread_id})
    assert [step["status"] for step in run["steps"]] == ["COMPLETED"]


RUNS = """id runs(first: $first, last: $last, order: $order, after: $after) {
  pageInfo { hasNextPage } nodes { id steps { id } } }"""
PAGE = "$first: Int, $last: Int, $order: SortOrder!, $after: String"
EACH = f"query ({PAGE}) {{ threads(first: 3, order: ASC) {{ nodes {{ {RUNS} }} }} }}"
ONE = f"query ($id: ID!, {PAGE}) {{ thread(id: $id) {{ {RUNS} }} }}"


async def add_runs(rest: httpx.AsyncClient, assistant_id: str, models: Scripted, counts: Sequence[int]) -> None:
    for count in counts:
        thread = (await new_thread(rest))["id"]
        for _ in range(count):
            models.scripts.append(says("Yes."))
            await poll(rest, await create(rest, thread, assistant_id))


@pytest.mark.parametrize(
    "page", [{"first": 2, "order": "DESC"}, {"first": 2, "order": "ASC"}, {"last": 2, "order": "ASC"}]
)
async def test_pages_of_several_threads_are_those_of_each(
    rest: httpx.AsyncClient, graphql: GraphQL, assistant_id: str, models: Scripted, page: dict[str, Any]
) -> None:
    await add_runs(rest, assistant_id, models, (3, 0, 1))

    found = (await graphql(EACH, **page))["threads"]["nodes"]

    assert [len(each["runs"]["nodes"]) for each in found] == [2, 0, 1]
    assert found == [(await graphql(ONE, id=each["id"], **page))["thread"] for each in found]


async def test_runs_of_several_threads_and_their_steps_are_two_statements(
    rest: httpx.AsyncClient, graphql: GraphQL, store: Store, assistant_id: str, models: Scripted
) -> None:
    await add_runs(rest, assistant_id, models, (2, 1, 1))

    with statements_of(store) as seen:
        found = (await graphql(EACH, first=5, order="ASC"))["threads"]["nodes"]

    assert [[len(run["steps"]) for run in each["runs"]["nodes"]] for each in found] == [[1, 1], [1], [1]]
    assert len([text for text in seen if "JOIN runs" in text or "FROM run_steps" in text]) == 2


async def test_a_cursor_of_another_thread_is_refused(
    rest: httpx.AsyncClient, graphql: GraphQL, assistant_id: str, models: Scripted
) -> None:
    await add_runs(rest, assistant_id, models, (1, 1))
    [_, second] = (await graphql(EACH, first=1, order="ASC"))["threads"]["nodes"]

    refused = await graphql.refusal(EACH, first=1, order="ASC", after=second["runs"]["nodes"][0]["id"])

    assert refused["extensions"]["param"] == "after"


async def test_outputs_are_submitted(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts += [calls(("weather", "{}"), ("time", "{}")), says("Rain at noon.")]
    run = await poll(rest, await create(rest, thread_id, assistant_id))
    found = (await graphql(READ, id=thread_id))["thread"]["runs"]["nodes"][0]["toolCalls"]
    outputs = [{"toolCallId": each["id"], "output": each["name"]} for each in found]

    submit = "mutation ($input: SubmitToolOutputsInput!) { submitToolOutputs(input: $input) { run { status } } }"
    made = await graphql(submit, input={"runId": run["id"], "outputs": outputs})
    assert made["submitToolOutputs"]["run"]["status"] == "QUEUED"
    assert (await poll(rest, run))["status"] == "completed"
    assert await texts(rest, thread_id) == [("assistant", "completed", "Rain at noon.")]


async def test_a_run_is_cancelled(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts.append([asyncio.Event()])
    run = await create(rest, thread_id, assistant_id)

    made = await graphql("mutation ($id: ID!) { cancelRun(input: {runId: $id}) { run { status } } }", id=run["id"])
    assert made["cancelRun"]["run"]["status"] == "CANCELLING"
    assert (await poll(rest, run))["status"] == "cancelled"


async def test_assistants_are_listed(graphql: GraphQL, assistant_id: str) -> None:
    query = "{ assistants(first: 1) { nodes { id model instructions tools metadata } pageInfo { hasNextPage } } }"
    listed = (await graphql(query))["assistants"]

    of = {"id": assistant_id, "model": "small", "instructions": "Be kind.", "tools": [], "metadata": {}}
    assert listed == {"nodes": [of], "pageInfo": {"hasNextPage": False}}
