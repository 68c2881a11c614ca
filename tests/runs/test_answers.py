"""What a model is asked for a run, and how the run ends with each end of its answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.core import runs
from gateway.domain import bounds
from gateway.errors import Unavailable
from gateway.runs.models.interface import Finished, FinishReason, TextDelta, ToolCallDelta
from tests.rest.calls import add
from tests.runs.calls import ask, create, poll, stream, texts, until_begun
from tests.runs.scripted import STOP, USAGE, calls, events_of, says

if TYPE_CHECKING:
    import httpx

    from tests.faces import GraphQL
    from tests.runs.scripted import Scripted

IMAGE: Final = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
FILE: Final = {"type": "image_file", "image_file": {"file_id": "file-a"}}


def submitting(run: Any, output: str = "rain") -> dict[str, Any]:
    """Write the outputs that a run waits for."""
    named = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return {"tool_outputs": [{"tool_call_id": each["id"], "output": output} for each in named]}


async def submit(rest: httpx.AsyncClient, run: Any) -> Any:
    """Submit them, and wait for what follows."""
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
    assert (await rest.post(path, json=submitting(run))).status_code == 200
    return await poll(rest, run)


async def test_images_are_handed_on_by_their_url(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    await add(rest, thread_id, [{"type": "text", "text": "What is it?"}, IMAGE])
    await poll(rest, await create(rest, thread_id, assistant_id, additional_instructions="Be short."))

    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": IMAGE["image_url"]}]
    system = {"role": "system", "content": "Be kind.\nBe short."}
    assert models.requests[0].messages == [system, {"role": "user", "content": parts}]


async def test_a_text_before_calls_is_of_the_same_answer(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts += [[TextDelta("I look."), *calls(("weather", "{}"))], says("Rain."), says("Yes.")]
    run = await submit(rest, await ask(rest, thread_id, assistant_id))
    assert run["status"] == "completed"
    await ask(rest, thread_id, assistant_id, "Sure?")

    called = {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    assert models.requests[1].messages[2:] == [
        {"role": "assistant", "content": "I look.", "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_0", "content": "rain"},
    ]
    said = [each["content"] for each in models.requests[2].messages[2:]]
    assert said == ["I look.", "Rain.", "Sure?"]


@pytest.mark.parametrize(
    ("reason", "given", "of_run", "of_message"),
    [
        (FinishReason.CONTENT_FILTER, {}, "content_filter", "content_filter"),
        (FinishReason.LENGTH, {}, "max_completion_tokens", "max_tokens"),
        (FinishReason.STOP, {"max_prompt_tokens": 256}, "max_prompt_tokens", "max_tokens"),
    ],
)
async def test_an_answer_that_is_not_whole_is_incomplete(
    rest: httpx.AsyncClient,
    thread_id: str,
    assistant_id: str,
    models: Scripted,
    *,
    reason: FinishReason,
    given: dict[str, Any],
    of_run: str,
    of_message: str,
) -> None:
    models.scripts.append([TextDelta("Half"), Finished(reason, replace(USAGE, prompt_tokens=300))])
    run = await ask(rest, thread_id, assistant_id, **given)

    [_, answer] = (await rest.get(f"/threads/{thread_id}/messages", params={"order": "asc"})).json()["data"]
    assert (run["status"], run["incomplete_details"]) == ("incomplete", {"reason": of_run})
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": of_message})


async def test_no_model_is_asked_once_the_tokens_of_the_run_are_used(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    all_of_them = replace(USAGE, completion_tokens=256)
    models.scripts.append([ToolCallDelta(0, "call_a", "f", "{}"), Finished(FinishReason.TOOL_CALLS, all_of_them)])
    run = await ask(rest, thread_id, assistant_id, max_completion_tokens=256)

    ended = await submit(rest, run)

    assert ended["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert len(models.requests) == 1


async def test_a_model_that_is_not_served_any_more_fails_the_run(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts.append(calls(("weather", "{}")))
    run = await ask(rest, thread_id, assistant_id)
    models.names = ("another",)

    failed = await submit(rest, run)

    assert failed["last_error"]["message"] == "The model 'small' is no longer served."
    refused = await rest.post(f"/threads/{thread_id}/runs", json={"assistant_id": assistant_id})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "model_not_found")


async def test_a_text_ends_where_a_message_would_be_too_long(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts.append([TextDelta("x" * bounds.TEXT.number), TextDelta("y"), STOP])
    run = await ask(rest, thread_id, assistant_id)

    assert run["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert len((await texts(rest, thread_id))[1][2]) == bounds.TEXT.number


async def test_a_client_that_finishes_the_message_of_a_run_fails_it(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    waits = asyncio.Event()
    models.scripts.append([TextDelta("Half "), waits, TextDelta("and half."), STOP])
    run = await create(rest, thread_id, assistant_id)
    await until_begun(rest, thread_id)
    [message] = (await rest.get(f"/threads/{thread_id}/messages")).json()["data"]
    finish = "mutation ($id: ID!) { finishMessage(input: {messageId: $id, status: COMPLETED}) { message { id } } }"
    await graphql(finish, id=message["id"])
    waits.set()

    failed = await poll(rest, run)

    assert failed["last_error"]["message"] == "A client has finished or deleted the message of this run."
    assert await texts(rest, thread_id) == [("assistant", "completed", "Half ")]


async def test_a_thread_with_files_is_not_run(rest: httpx.AsyncClient, thread_id: str, assistant_id: str) -> None:
    message = {"role": "user", "content": [FILE]}
    await rest.post(f"/threads/{thread_id}/messages", json=message)
    bodies = {f"/threads/{thread_id}/runs": {}, "/threads/runs": {"thread": {"messages": [message]}}}
    for path, more in bodies.items():
        refused = await rest.post(path, json={"assistant_id": assistant_id, **more})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported"), path


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Unavailable("The database is away."), "The database is away."),
        (RuntimeError("a bug"), "The server had an error"),
    ],
)
async def test_a_stream_ends_with_the_fault_that_it_meets(
    rest: httpx.AsyncClient,
    thread_id: str,
    assistant_id: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    fault: Exception,
    message: str,
) -> None:
    async def view(*_arguments: object) -> None:
        raise fault

    monkeypatch.setattr(runs, "view", view)

    answer = await stream(rest, f"/threads/{thread_id}/runs", assistant_id=assistant_id)

    [(name, data, _)] = events_of(answer)
    assert name == "error"
    assert data["error"]["message"].startswith(message)
    assert data["error"]["type"] == "server_error"


async def test_runs_and_steps_are_paged_from_both_ends(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts += [calls(("weather", "{}")), says("Rain.")]
    first = await submit(rest, await ask(rest, thread_id, assistant_id))
    second = await ask(rest, thread_id, assistant_id)
    path = f"/threads/{thread_id}/runs"
    steps = (await rest.get(f"{path}/{first['id']}/steps", params={"order": "asc"})).json()["data"]

    for listed, (old, new) in ((path, (first, second)), (f"{path}/{first['id']}/steps", steps)):
        for params, found in (
            ({"limit": 1}, [new]),
            ({"after": new["id"]}, [old]),
            ({"before": old["id"]}, [new]),
            ({"order": "asc", "after": old["id"]}, [new]),
            ({"after": old["id"]}, []),
        ):
            page = (await rest.get(listed, params=params)).json()
            assert [each["id"] for each in page["data"]] == [each["id"] for each in found], (listed, params)
        refused = await rest.get(listed, params={"after": new["id"][:-1]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_value"), listed
        assert (await rest.get(f"{listed}/{new['id']}")).json()["id"] == new["id"]
        assert (await rest.get(f"{listed}/{new['id'][:-1]}")).status_code == 404


async def test_a_change_without_metadata_changes_nothing(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str
) -> None:
    run = await ask(rest, thread_id, assistant_id, metadata={"a": "b"})

    same = await rest.post(f"/threads/{thread_id}/runs/{run['id']}", json={})

    assert same.json() == run


async def test_runs_of_an_unknown_thread_are_not_listed(rest: httpx.AsyncClient, thread_id: str) -> None:
    assert (await rest.get(f"/threads/{thread_id[:-1]}/runs")).status_code == 404


async def test_additional_messages_go_before_the_run(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    more = [{"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"}]

    await poll(rest, await create(rest, thread_id, assistant_id, additional_messages=more))

    assert [each["content"] for each in models.requests[0].messages[1:]] == ["One", "Two"]
    assert [text for *_, text in await texts(rest, thread_id)] == ["One", "Two", "Hello there"]
