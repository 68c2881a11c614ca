"""Outputs of functions: a run takes exactly those that it waits for, and says which they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.domain import bounds
from tests.runs.calls import create, poll
from tests.runs.scripted import calls

if TYPE_CHECKING:
    import httpx

    from tests.faces import GraphQL
    from tests.runs.scripted import Scripted

SUBMIT: Final = "mutation ($input: SubmitToolOutputsInput!) { submitToolOutputs(input: $input) { run { id } } }"


@pytest.fixture
async def waiting(rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted) -> Any:
    """Make a run that waits for the outputs of two calls."""
    models.scripts.append(calls(("weather", "{}"), ("time", "{}")))
    return await poll(rest, await create(rest, thread_id, assistant_id))


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["call_1"],
        ["call_0", "call_1", "call_2"],
        ["call_0", "call_0"],
        ["call_0", "call_1", "call_1"],
    ],
)
async def test_no_others_are_taken(rest: httpx.AsyncClient, graphql: GraphQL, waiting: Any, given: list[str]) -> None:
    message = f"Expected tool outputs for call_ids ['call_0', 'call_1'], got {given}"
    path = f"/threads/{waiting['thread_id']}/runs/{waiting['id']}"

    outputs = [{"tool_call_id": each, "output": f"{n}"} for n, each in enumerate(given)]
    refused = await rest.post(f"{path}/submit_tool_outputs", json={"tool_outputs": outputs})
    named = [{"toolCallId": each["tool_call_id"], "output": each["output"]} for each in outputs]
    error = await graphql.refusal(SUBMIT, input={"runId": waiting["id"], "outputs": named})

    assert (refused.status_code, refused.json()["error"]["message"], error["message"]) == (400, message, message)
    assert (await rest.get(path)).json()["status"] == "requires_action"


@pytest.mark.parametrize(
    ("field", "at_most"), [("tool_call_id", bounds.REFERENCE.number), ("output", bounds.TOOL_OUTPUT.number)]
)
async def test_longer_ones_are_not_taken(rest: httpx.AsyncClient, waiting: Any, field: str, at_most: int) -> None:
    output = {"tool_call_id": "call_0", "output": "rain", field: "x" * (at_most + 1)}
    path = f"/threads/{waiting['thread_id']}/runs/{waiting['id']}/submit_tool_outputs"

    refused = await rest.post(path, json={"tool_outputs": [output]})

    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (400, "string_above_max_length")
    assert error["param"] == f"tool_outputs[0].{field}"


async def test_their_order_is_free(rest: httpx.AsyncClient, waiting: Any, models: Scripted) -> None:
    path = f"/threads/{waiting['thread_id']}/runs/{waiting['id']}"
    outputs = [{"tool_call_id": "call_1", "output": "noon"}, {"tool_call_id": "call_0", "output": "rain"}]

    await rest.post(f"{path}/submit_tool_outputs", json={"tool_outputs": outputs})

    assert (await poll(rest, waiting))["status"] == "completed"
    said = [(each["tool_call_id"], each["content"]) for each in models.requests[1].messages if each["role"] == "tool"]
    assert said == [("call_0", "rain"), ("call_1", "noon")]
