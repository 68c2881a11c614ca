"""What a program that uses the `openai` SDK's helpers for runs expects, as checks on a client.

The server's model repeats the last message, calls the first function of a run, hangs where it is named "hanging", and
fails where it is named "failing" (`run_model`).
Must not be here: who runs the checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import openai

from tests.clients.sdk_checks import text_of
from tests.clients.seeding_proxy import model as seeded
from tests.runs.fake_model import refuses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from openai import AsyncOpenAI, OpenAI
    from openai.types.beta.threads import Run

    from tests.runs.fake_model import Script

CHECKS: Final[dict[str, Callable[[OpenAI], None]]] = {}
ASYNC_CHECKS: Final[dict[str, Callable[[AsyncOpenAI], Awaitable[None]]]] = {}
WEATHER: Final[Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Say how the weather is.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ANSWER: Final = "You said: Hello there "
AFTER_CALL: Final = "You said: It rains. "


def run_model(body: Mapping[str, Any]) -> Script:
    """Answer as the checks expect it."""
    return refuses(429, {"message": "no"}) if body["model"] == "failing" else seeded(body)


def check(function: Callable[[OpenAI], None]) -> None:
    """Take a function into the list of checks, under its name as a sentence."""
    CHECKS[function.__name__.replace("_", " ")] = function


def async_check(function: Callable[[AsyncOpenAI], Awaitable[None]]) -> None:
    """Take a coroutine function into the list of checks."""
    ASYNC_CHECKS[function.__name__.replace("_", " ")] = function


def asked(client: OpenAI, **fields: Any) -> dict[str, Any]:
    """Make an assistant and a thread with a question."""
    assistant = client.beta.assistants.create(model=fields.pop("model", "any"), **fields)
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Hello there"}])
    return {"thread_id": thread.id, "assistant_id": assistant.id}


def answer_of(client: OpenAI, run: Run) -> str:
    [message] = client.beta.threads.messages.list(run.thread_id, run_id=run.id)
    assert (message.role, message.assistant_id) == ("assistant", run.assistant_id)
    return text_of(message)


def outputs_for(run: Run) -> list[Any]:
    assert run.required_action is not None
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert [(call.function.name, call.function.arguments) for call in calls] == [("weather", '{"city":"Paris"}')]
    return [{"tool_call_id": call.id, "output": "It rains."} for call in calls]


@check
def a_run_is_created_and_polled(client: OpenAI) -> None:
    run = client.beta.threads.runs.create_and_poll(**asked(client))

    assert run.status == "completed"
    assert run.usage is not None
    assert run.usage.total_tokens == 18
    assert answer_of(client, run) == ANSWER


@check
def a_thread_is_created_and_run_and_polled(client: OpenAI) -> None:
    assistant = client.beta.assistants.create(model="any")

    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hello there"}]}
    )

    assert run.status == "completed"
    assert answer_of(client, run) == ANSWER


@check
def a_run_is_streamed(client: OpenAI) -> None:
    with client.beta.threads.runs.stream(**asked(client)) as stream:
        text = "".join(stream.text_deltas)
        [message] = stream.get_final_messages()
        [step] = stream.get_final_run_steps()
        run = stream.get_final_run()

    assert text == text_of(message) == ANSWER
    assert (run.status, step.type) == ("completed", "message_creation")


@check
def a_thread_is_created_and_run_as_a_stream(client: OpenAI) -> None:
    assistant = client.beta.assistants.create(model="any")
    thread: Any = {"messages": [{"role": "user", "content": "Hello there"}]}

    with client.beta.threads.create_and_run_stream(assistant_id=assistant.id, thread=thread) as stream:
        events = [each.event for each in stream]

    assert events[:2] == ["thread.created", "thread.run.created"]
    assert events[-1] == "thread.run.completed"


@check
def a_handler_gets_the_events_of_a_stream(client: OpenAI) -> None:
    got: list[str] = []

    class Handler(openai.AssistantEventHandler):
        def on_text_created(self, text: Any) -> None:
            got.append(f"begins with {text.value!r}")

        def on_text_done(self, text: Any) -> None:
            got.append(text.value)

        def on_end(self) -> None:
            got.append("end")

    with client.beta.threads.runs.stream(**asked(client), event_handler=Handler()) as stream:
        stream.until_done()

    assert got[1:] == [ANSWER, "end"]


@check
def a_function_is_called_and_its_output_submitted_as_a_stream(client: OpenAI) -> None:
    runs = client.beta.threads.runs
    with runs.stream(**asked(client, tools=[WEATHER])) as stream:
        stream.until_done()
        waiting = stream.get_final_run()
    assert waiting.status == "requires_action"

    with runs.submit_tool_outputs_stream(
        run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs_for(waiting)
    ) as stream:
        text = "".join(stream.text_deltas)
        run = stream.get_final_run()

    assert (run.id, run.status, text) == (waiting.id, "completed", AFTER_CALL)
    steps = list(runs.steps.list(run.id, thread_id=run.thread_id, order="asc"))
    assert [(step.type, step.status) for step in steps] == [
        ("tool_calls", "completed"),
        ("message_creation", "completed"),
    ]


@check
def a_function_is_called_and_its_output_submitted_and_polled(client: OpenAI) -> None:
    waiting = client.beta.threads.runs.create_and_poll(**asked(client), tools=[WEATHER])

    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs_for(waiting)
    )

    assert run.status == "completed"
    assert answer_of(client, run) == AFTER_CALL


@check
def a_run_is_cancelled(client: OpenAI) -> None:
    run = client.beta.threads.runs.create(**asked(client, model="hanging"))

    cancelling = client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)

    assert cancelling.status == "cancelling"
    assert client.beta.threads.runs.poll(run.id, thread_id=run.thread_id).status == "cancelled"
    assert client.beta.threads.messages.create(run.thread_id, role="user", content="The thread is free.")


@check
def a_failure_of_the_model_ends_the_run(client: OpenAI) -> None:
    run = client.beta.threads.runs.create_and_poll(**asked(client, model="failing"))

    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.code == "rate_limit_exceeded"


@check
def a_failure_of_the_model_ends_the_stream(client: OpenAI) -> None:
    with client.beta.threads.runs.stream(**asked(client, model="failing")) as stream:
        events = [each.event for each in stream]
        run = stream.get_final_run()

    assert events[-1] == "thread.run.failed"
    assert run.status == "failed"


@async_check
async def a_run_is_created_and_polled_in_an_event_loop(client: AsyncOpenAI) -> None:
    run = await client.beta.threads.runs.create_and_poll(**await asked_async(client))

    assert run.status == "completed"


@async_check
async def a_function_is_called_by_a_stream_in_an_event_loop(client: AsyncOpenAI) -> None:
    got: list[str] = []

    class Handler(openai.AsyncAssistantEventHandler):
        async def on_text_done(self, text: Any) -> None:
            got.append(text.value)

    runs = client.beta.threads.runs
    async with runs.stream(**await asked_async(client), tools=[WEATHER]) as stream:
        await stream.until_done()
        waiting = await stream.get_final_run()
    async with runs.submit_tool_outputs_stream(
        run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs_for(waiting), event_handler=Handler()
    ) as stream:
        await stream.until_done()

    assert got == [AFTER_CALL]


async def asked_async(client: AsyncOpenAI) -> dict[str, Any]:
    """Make an assistant and a thread with a question."""
    assistant = await client.beta.assistants.create(model="any")
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Hello there"}])
    return {"thread_id": thread.id, "assistant_id": assistant.id}
