"""A run over REST: created, answered, polled, streamed; with functions and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.rest.calls import add
from tests.runs.calls import ask, poll, stream, texts
from tests.runs.scripted import calls, events_of, says

if TYPE_CHECKING:
    import httpx

    from tests.runs.scripted import Scripted

PLAIN = [
    *("thread.run.created", "thread.run.queued", "thread.run.in_progress"),
    *("thread.run.step.created", "thread.run.step.in_progress", "thread.message.created", "thread.message.in_progress"),
    *("thread.message.delta", "thread.message.completed", "thread.run.step.completed", "thread.run.completed", "done"),
]


async def test_a_run_answers_the_thread(rest: httpx.AsyncClient, thread_id: str, assistant_id: str) -> None:
    run = await ask(rest, thread_id, assistant_id)

    assert run["status"] == "completed"
    assert await texts(rest, thread_id) == [("user", "completed", "Hi"), ("assistant", "completed", "Hello there")]


async def test_a_stream_has_the_events_of_the_original_service(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str
) -> None:
    await add(rest, thread_id, "Hi")
    answer = await stream(rest, f"/threads/{thread_id}/runs", assistant_id=assistant_id)

    names = [name for name, *_ in events_of(answer)]
    assert [name for n, name in enumerate(names) if n == 0 or name != names[n - 1]] == PLAIN


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
