"""The models of the settings as a worker finds them, and the demo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.runs.models import demo as demo_
from gateway.runs.models.build import EndpointModels, models_of
from gateway.runs.models.demo import DemoModels
from gateway.runs.models.interface import Finished, FinishReason, ModelRequest, TextDelta, ToolCallDelta
from gateway.settings.models import Endpoint, MappedAssistant, ModelSettings
from gateway.settings.table import Settings

if TYPE_CHECKING:
    from gateway.runs.models.interface import ModelEvent, Resolved

LARGE, SMALL = Endpoint("https://a/v1", model="large-2026"), Endpoint("https://b/v1")
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": "integer"},
                "any": True,
            },
        },
    },
}


def models(fallback: Endpoint | None = None, default: str | None = None) -> EndpointModels:
    assistants = {"asst_1": MappedAssistant("One", "small"), "*": MappedAssistant()}
    return EndpointModels(ModelSettings({"large": LARGE, "small": SMALL}, fallback, default, assistants))


def name_of(found: Resolved | None) -> str | None:
    return None if found is None else found.name


def test_without_settings_there_are_no_models() -> None:
    assert models_of(Settings()) is None


def test_a_name_is_found_with_its_name_at_the_endpoint() -> None:
    assert name_of(models().resolve("large")) == "large-2026"
    assert name_of(models().resolve("small")) == "small"


def test_a_name_that_is_not_known_is_none_unless_there_is_a_fallback() -> None:
    assert models().resolve("huge") is None
    assert name_of(models(Endpoint("https://c")).resolve("huge")) == "huge"


def test_without_a_name_the_default_is_found() -> None:
    assert models().resolve(None) is None
    assert name_of(models(default="large").resolve(None)) == "large-2026"


def test_names_of_one_endpoint_share_its_limits() -> None:
    found = models(Endpoint(LARGE.url))
    large, other = found.resolve("large"), found.resolve("other")

    assert large is not None
    assert other is not None
    assert large.model is other.model


def test_an_assistant_is_found_by_its_id_and_any_other_by_the_star() -> None:
    assert models().assistant("asst_1") == MappedAssistant("One", "small")
    assert models().assistant("asst_2") == MappedAssistant()
    assert EndpointModels(ModelSettings({}, SMALL, None, {})).assistant("asst_2") is None


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_, "PACE_S", 0)


async def demo(**request: Any) -> list[ModelEvent]:
    found = DemoModels().resolve(None)
    messages = request.pop("messages", [{"role": "user", "content": "Hello there"}])
    return [each async for each in found.model.stream(ModelRequest(found.name, messages, **request))]


def text_of(events: list[ModelEvent]) -> str:
    return "".join(each.text for each in events if isinstance(each, TextDelta))


async def test_the_demo_repeats_word_by_word_and_says_that_it_is_one() -> None:
    events = await demo()

    assert text_of(events) == "This is the demo, no real model. As far as it can see, you said: Hello there"
    assert len(events) > 10
    assert isinstance(events[-1], Finished)
    assert events[-1].usage is not None


async def test_the_demo_reads_the_text_of_parts() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "https://a"}}, {"type": "text", "text": "Look"}]

    assert text_of(await demo(messages=[{"role": "user", "content": parts}])).endswith("you said: Look")


async def test_the_demo_calls_a_function_and_then_says_what_it_answered() -> None:
    events = await demo(tools=[TOOL])

    pieces = [each for each in events if isinstance(each, ToolCallDelta)]
    assert pieces[0].name == "weather"
    assert json.loads("".join(each.arguments for each in pieces)) == {
        "city": "Hello there",
        "unit": "c",
        "days": 1,
        "any": "Hello there",
    }
    assert isinstance(events[-1], Finished)
    assert events[-1].reason is FinishReason.TOOL_CALLS

    told = await demo(tools=[TOOL], messages=[{"role": "tool", "tool_call_id": "call_1", "content": "22 degrees"}])
    assert text_of(told).endswith("the function answered: 22 degrees")


async def test_the_demo_calls_nothing_where_it_may_not() -> None:
    assert text_of(await demo(tools=[TOOL], tool_choice="none"))


async def test_the_demo_keeps_to_a_limit_of_tokens() -> None:
    events = await demo(max_completion_tokens=2)

    assert text_of(events) == "This is "
    assert isinstance(events[-1], Finished)
    assert events[-1].reason is FinishReason.LENGTH


@pytest.mark.parametrize("assistant_id", ["asst_1", "any"])
def test_the_demo_has_an_assistant_of_every_id(assistant_id: str) -> None:
    made = models_of(Settings(demo=True))

    assert isinstance(made, DemoModels)
    assert made.assistant(assistant_id).model == "demo"
