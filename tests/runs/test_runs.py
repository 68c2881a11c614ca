"""A run over REST: created, answered and polled; with functions and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.runs.calls import ask, poll, texts
from tests.runs.scripted import calls, says

if TYPE_CHECKING:
    import httpx

    from tests.runs.scripted import Scripted


async def test_a_run_answers_the_thread(rest: httpx.AsyncClient, thread_id: str, assistant_id: str) -> None:
    run = await ask(rest, thread_id, assistant_id)

    assert run["status"] == "completed"
    assert await texts(rest, thread_id) == [("user", "completed", "Hi"), ("assistant", "completed", "Hello there")]


async def test_a_run_waits_for_the_outputs_of_functions(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts += [calls(("weather", '{"city": "Oslo"}')), says("It rains.")]
    run = await ask(rest, thread_id, assistant_id, tools=[{"type": "function", "function": {"name": "weather"}}])
    assert run["status"] == "requires_action"

    outputs = {"tool_outputs": [{"tool_call_id": "call_0", "output": "rain"}]}
    path = f"/threads/{thread_id}/runs/{run['id']}"
    submitted = await rest.post(f"{path}/submit_tool_outputs", json=outputs)
    assert submitted.json()["status"] == "queued"
    done = await poll(rest, run)
    assert done["status"] == "completed", done
    steps = (await rest.get(f"{path}/steps")).json()["data"]
    assert [step["type"] for step in steps] == ["message_creation", "tool_calls"]
