"""The model of `gateway serve --demo`, which needs no key and no network: it repeats what it is asked, and says so.

Must not be here: anything that a real model shares with it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.runs.models.interface import Finished, FinishReason, Resolved, TextDelta, ToolCallDelta, Usage
from gateway.settings.models import MappedAssistant

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from gateway.runs.models.interface import ModelEvent, ModelRequest

NAME: Final = "demo"
PACE_S: Final = 0.03  # between words, so that the answer visibly grows
LONGEST_ECHO: Final = 1_000
_EXAMPLES: Final[Mapping[object, Any]] = {"number": 1.5, "integer": 1, "boolean": True, "array": [], "object": {}}


class DemoModels:
    """One model that has every name, and an assistant that has every id."""

    def resolve(self, name: str | None) -> Resolved:
        """Return the model."""
        return Resolved(EchoModel(), name or NAME)

    def assistant(self, _assistant_id: str) -> MappedAssistant:
        """Return the assistant."""
        return MappedAssistant("Demo", NAME)

    async def close(self) -> None:
        """Do nothing: there are no connections."""


class EchoModel:
    """Repeats the last message, word by word; if there are functions, it calls the first one before."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Answer a request, as `Model.stream` does."""
        last = request.messages[-1] if request.messages else {}
        text = _text(last.get("content"))[:LONGEST_ECHO]
        tool = next(iter(request.tools), None)
        if tool is not None and last.get("role") == "user" and request.tool_choice != "none":
            arguments = orjson.dumps(_arguments(tool["function"], text)).decode()
            yield ToolCallDelta(0, f"call_{secrets.token_hex(12)}", tool["function"]["name"])
            pieces = re.findall(r".{1,8}", arguments, re.DOTALL)
            for piece in pieces:
                await asyncio.sleep(PACE_S)
                yield ToolCallDelta(0, arguments=piece)
            yield Finished(FinishReason.TOOL_CALLS, _usage(request, len(pieces)))
            return
        said = "the function answered" if last.get("role") == "tool" else "you said"
        words = re.findall(r"\s*\S+\s*", f"This is the demo, no real model. As far as it can see, {said}: {text}")
        most = request.max_completion_tokens or len(words)
        for word in words[:most]:
            await asyncio.sleep(PACE_S)
            yield TextDelta(word)
        reason = FinishReason.STOP if len(words) <= most else FinishReason.LENGTH
        yield Finished(reason, _usage(request, len(words[:most])))


def _text(content: object) -> str:
    """Return the text of a message, whose content is a text or parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(part["text"] for part in parts if part.get("type") == "text")


def _arguments(function: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Make arguments that a function may accept: each string is the text of the message."""
    properties: Mapping[str, Any] = (function.get("parameters") or {}).get("properties") or {}
    return {name: _example(schema, text) for name, schema in properties.items()}


def _example(schema: object, text: str) -> Any:
    if not isinstance(schema, dict):
        return text
    choices = schema.get("enum")
    kind = schema.get("type")
    return choices[0] if choices else _EXAMPLES.get(kind if isinstance(kind, str) else None, text)


def _usage(request: ModelRequest, pieces: int) -> Usage:
    """Count words: the demo knows no tokens."""
    return Usage(sum(len(_text(each.get("content")).split()) for each in request.messages), pieces)
