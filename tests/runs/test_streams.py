"""The events of a stream: in the order of four recorded shapes, from any states between, and resumed anywhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.runs.models.interface import FailureCode, ModelFailed
from tests.rest.calls import add
from tests.runs.calls import create, poll, stream, until_begun
from tests.runs.scripted import STOP, calls, events_of, says

if TYPE_CHECKING:
    import httpx

    from tests.runs.scripted import Scripted

_BEGIN: Final = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
_STEP: Final = ["thread.run.step.created", "thread.run.step.in_progress"]
_MESSAGE: Final = [*_STEP, "thread.message.created", "thread.message.in_progress", "thread.message.delta"]
_COMPLETED: Final = ["thread.message.completed", "thread.run.step.completed", "thread.run.completed", "done"]
PLAIN: Final = [*_BEGIN, *_MESSAGE, *_COMPLETED]
CALL: Final = [*_BEGIN, *_STEP, "thread.run.step.delta", "thread.run.requires_action", "done"]
SUBMITTED: Final = ["thread.run.step.completed", *_BEGIN[1:], *_MESSAGE, *_COMPLETED]
FAILED: Final = [*_BEGIN, *_MESSAGE, "thread.message.incomplete", "thread.run.step.failed", "thread.run.failed", "done"]


def names_of(answer: str) -> list[str]:
    """Name the events of a stream, deltas that follow each other once."""
    names = [name for name, *_ in events_of(answer)]
    return [name for n, name in enumerate(names) if n == 0 or name != names[n - 1] or "delta" not in name]


async def test_a_plain_answer(rest: httpx.AsyncClient, thread_id: str, assistant_id: str) -> None:
    answer = await stream(rest, f"/threads/{thread_id}/runs", assistant_id=assistant_id)

    assert names_of(answer) == PLAIN
    events = events_of(answer)
    by_name = {name: data for name, data, _ in events}
    assert by_name["thread.message.created"]["content"] == []
    assert by_name["thread.run.queued"]["started_at"] is None
    assert "".join(text_of(data) for name, data, _ in events if name.endswith("message.delta")) == "Hello there"
    assert by_name["thread.message.completed"]["content"][0]["text"]["value"] == "Hello there"
    assert by_name["thread.run.completed"]["usage"]["total_tokens"] == 12


async def test_a_new_thread_comes_first(rest: httpx.AsyncClient, assistant_id: str) -> None:
    thread = {"messages": [{"role": "user", "content": "hi"}]}
    answer = await stream(rest, "/threads/runs", assistant_id=assistant_id, thread=thread)

    assert names_of(answer) == ["thread.created", *PLAIN]


async def test_functions_are_called_and_their_outputs_submitted(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts += [calls(("weather", '{"city": "Oslo"}'), ("time", "{}")), says("Rain.")]

    answer = await stream(rest, f"/threads/{thread_id}/runs", assistant_id=assistant_id)
    assert names_of(answer) == CALL
    events = events_of(answer)
    deltas = [data["delta"]["step_details"]["tool_calls"][0] for name, data, _ in events if name.endswith("step.delta")]
    first = {"name": "weather", "arguments": "", "output": None}
    assert deltas[0] == {"index": 0, "id": "call_0", "type": "function", "function": first}
    of_first = "".join(each["function"]["arguments"] for each in deltas if each["index"] == 0)
    assert of_first == '{"city": "Oslo"}'
    run = events[-2][1]
    named = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [each["function"] for each in named][1] == {"name": "time", "arguments": "{}"}

    outputs = [{"tool_call_id": each["id"], "output": "ok"} for each in named]
    path = f"/threads/{thread_id}/runs/{run['id']}/submit_tool_outputs"
    lacking = await rest.post(path, json={"tool_outputs": outputs[:1]})
    message = "Expected tool outputs for call_ids ['call_0', 'call_1'], got ['call_0']"
    assert (lacking.status_code, lacking.json()["error"]["message"]) == (400, message)
    submitted = await stream(rest, path, tool_outputs=outputs)
    assert names_of(submitted) == SUBMITTED
    first_step = events_of(submitted)[0][1]
    assert [each["function"]["output"] for each in first_step["step_details"]["tool_calls"]] == ["ok", "ok"]
    asked = models.requests[1].messages
    assert [each["role"] for each in asked] == ["system", "assistant", "tool", "tool"]
    late = await rest.post(path, json={"tool_outputs": outputs})
    assert late.json()["error"]["message"] == 'Runs in status "completed" do not accept tool outputs.'


async def test_a_model_that_fails(rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted) -> None:
    models.scripts.append([*says("Well")[:-1], ModelFailed(FailureCode.RATE_LIMIT_EXCEEDED, "Too many.")])

    answer = await stream(rest, f"/threads/{thread_id}/runs", assistant_id=assistant_id)

    assert names_of(answer) == FAILED
    failed = events_of(answer)[-2][1]
    assert failed["last_error"] == {"code": "rate_limit_exceeded", "message": "Too many."}


@pytest.mark.parametrize("at", range(len(PLAIN) - 1))
async def test_a_stream_resumes_after_any_event(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, at: int
) -> None:
    await add(rest, thread_id, "Hi")
    answer = await stream(rest, f"/threads/{thread_id}/runs", assistant_id=assistant_id)
    events = events_of(answer)[:-1]
    run, seen = events[0][1], events[: at + 1]

    resumed = await rest.get(f"/threads/{thread_id}/runs/{run['id']}", headers={"Last-Event-ID": seen[-1][2]})

    rest_of = events_of(resumed.text)
    whole = [data for name, data, _ in [*seen, *rest_of] if name == "thread.message.delta"]
    assert "".join(text_of(each) for each in whole) == "Hello there"
    assert [name for name, *_ in rest_of][-2:] == ["thread.run.completed", "done"]


async def test_an_event_of_another_stream_is_refused(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str
) -> None:
    run = await poll(rest, await create(rest, thread_id, assistant_id))

    refused = await rest.get(f"/threads/{thread_id}/runs/{run['id']}", headers={"Last-Event-ID": "x-1-2"})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Last-Event-ID")


async def test_an_event_id_of_thousands_of_digits_is_refused(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str
) -> None:
    _, run, seen = events_of(await stream(rest, f"/threads/{thread_id}/runs", assistant_id=assistant_id))[0]
    beyond = seen + "9" * 5_000

    refused = await rest.get(f"/threads/{thread_id}/runs/{run['id']}", headers={"Last-Event-ID": beyond})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Last-Event-ID")


async def test_the_thread_of_a_stream_is_deleted(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts.append([*says("Well")[:-1], asyncio.Event(), STOP])
    following = asyncio.ensure_future(stream(rest, f"/threads/{thread_id}/runs", assistant_id=assistant_id))
    await until_begun(rest, thread_id)

    await rest.delete(f"/threads/{thread_id}")

    assert names_of(await following)[-2:] == ["thread.run.cancelled", "done"]


def text_of(delta: Any) -> str:
    """Read the text of a delta."""
    return "".join(each["text"]["value"] for each in delta["delta"]["content"])
