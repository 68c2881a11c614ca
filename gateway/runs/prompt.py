"""The request to a model for a run: its thread and its steps, in the format of `/chat/completions`.

Must not be here: the call itself (`models`), reading the thread (`answering`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gateway.domain.message import ImageUrlContent, RefusalContent, TextContent
from gateway.domain.run import StepType
from gateway.runs.models.interface import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.domain.message import Message
    from gateway.domain.run import Run, RunStep


def request_for(run: Run, steps: Sequence[RunStep], messages: Iterable[Message], *, model: str) -> ModelRequest:
    """Return the next call of a run, after its thread's messages, oldest first, and its own steps."""
    own = run.settings
    most, response_format = own["max_completion_tokens"], own["response_format"]
    tools = own["tools"]
    return ModelRequest(
        model=model,
        messages=_conversation(run, steps, messages),
        tools=tools,
        tool_choice=own["tool_choice"] if tools else None,
        response_format=None if response_format == "auto" else response_format,
        temperature=own["temperature"],
        top_p=own["top_p"],
        max_completion_tokens=None if most is None else most - run.usage["completion_tokens"],
        reasoning_effort=own["reasoning_effort"],
        parallel_tool_calls=own["parallel_tool_calls"] if tools else None,
    )


def _conversation(run: Run, steps: Sequence[RunStep], messages: Iterable[Message]) -> list[Mapping[str, Any]]:
    instructions = run.settings["instructions"]
    texts: dict[str, str] = {}
    said: list[Mapping[str, Any]] = [{"role": "system", "content": instructions}] if instructions else []
    for message in messages:
        if message.run_id == run.id:
            texts[message.id] = message.text
        elif content := _content(message):
            said.append({"role": message.role_value, "content": content})
    before: str | None = None  # a text before calls belongs to the same answer
    for step in steps:
        if step.type_value == StepType.TOOL_CALLS.value:
            said += _calls(step, before)
            before = None
        else:
            if before is not None:
                said.append({"role": "assistant", "content": before})
            before = texts.get(step.message_id or "")
    return said if before is None else [*said, {"role": "assistant", "content": before}]


def _calls(step: RunStep, text: str | None) -> list[Mapping[str, Any]]:
    """Return an answer that calls functions, and their outputs."""
    calls, outputs = [], []
    for call in step.calls:
        function = call["function"]
        named = {"name": function["name"], "arguments": function["arguments"]}
        calls.append({"id": call["id"], "type": "function", "function": named})
        outputs.append({"role": "tool", "tool_call_id": call["id"], "content": function["output"] or ""})
    return [{"role": "assistant", "content": text, "tool_calls": calls}, *outputs]


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Return the content of a message as a model gets it: one text, or parts where it has images."""
    parts: list[dict[str, Any]] = []
    for part in message.content:
        if isinstance(part, TextContent):
            parts.append({"type": "text", "text": part.text.value})
        elif isinstance(part, ImageUrlContent):
            parts.append({"type": "image_url", "image_url": asdict(part.image_url)})
        elif isinstance(part, RefusalContent):
            parts.append({"type": "text", "text": part.refusal})
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts
