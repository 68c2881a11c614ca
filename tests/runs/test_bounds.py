"""The limits of runs and assistants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.domain import bounds, parse_run
from gateway.errors import InvalidRequest
from gateway.runs.models.interface import Finished, FinishReason, ToolCallDelta
from tests.runs.calls import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from gateway.domain.bounds import Bound
    from tests.runs.scripted import Scripted

_FUNCTION: Final = {"type": "function", "function": {"name": "f"}}


def _assistant(name: str, value: Any) -> dict[str, Any]:
    return parse_run.new_assistant({"model": "m", name: value})


def _run(name: str, value: Any) -> object:
    return parse_run.new_run({"assistant_id": "asst_a", name: value})


def _outputs(text: str) -> object:
    return parse_run.tool_outputs({"tool_outputs": [{"tool_call_id": "call_a", "output": text}]})


@pytest.mark.parametrize(
    ("bound", "parse"),
    [
        pytest.param(bounds.ASSISTANT_NAME, lambda n: _assistant("name", "x" * n), id="name"),
        pytest.param(bounds.ASSISTANT_DESCRIPTION, lambda n: _assistant("description", "x" * n), id="description"),
        pytest.param(bounds.INSTRUCTIONS, lambda n: _assistant("instructions", "x" * n), id="instructions"),
        pytest.param(bounds.INSTRUCTIONS, lambda n: _run("instructions", "x" * n), id="instructions of a run"),
        pytest.param(bounds.ASSISTANT_TOOLS, lambda n: _assistant("tools", [_FUNCTION] * n), id="tools"),
        pytest.param(bounds.RUN_TOOLS, lambda n: _run("tools", [_FUNCTION] * n), id="tools of a run"),
        pytest.param(
            bounds.ADDITIONAL_MESSAGES,
            lambda n: _run("additional_messages", [{"role": "user", "content": "x"}] * n),
            id="additional messages",
        ),
        pytest.param(bounds.TOOL_OUTPUT, lambda n: _outputs("x" * n), id="output"),
    ],
)
def test_input_over_the_limit_is_refused(bound: Bound, parse: Callable[[int], object]) -> None:
    parse(bound.number)
    with pytest.raises(InvalidRequest) as refused:
        parse(bound.number + 1)

    assert refused.value.code == bound.code


async def test_a_key_creates_a_run_in_a_thread_of_an_end_user(rest: httpx.AsyncClient, assistant_id: str) -> None:
    given = {"assistant_id": assistant_id, "thread": {"owner": "ann"}}
    made = (await rest.post("/threads/runs", json=given)).json()

    assert (await rest.get(f"/threads/{made['thread_id']}")).json()["owner"] == "ann"


async def test_a_model_calls_no_more_functions_than_the_limit(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    many = [ToolCallDelta(n, f"call_{n}", "f", "{}") for n in range(bounds.TOOL_CALLS.number + 10)]
    models.scripts.append([*many, Finished(FinishReason.TOOL_CALLS)])

    run = await ask(rest, thread_id, assistant_id)

    assert (run["status"], run["incomplete_details"]) == ("incomplete", {"reason": "max_completion_tokens"})
