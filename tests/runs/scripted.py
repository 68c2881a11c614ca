"""A model that says what a test tells it to, as fast as the test wants it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.runs.models.interface import (
    Finished,
    FinishReason,
    ModelFailed,
    Resolved,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from gateway.settings.models import MappedAssistant

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from gateway.runs.models.interface import ModelEvent, ModelRequest

USAGE = Usage(prompt_tokens=7, completion_tokens=5)
STOP = Finished(FinishReason.STOP, USAGE)


def says(*texts: str) -> list[ModelEvent]:
    """Answer with a text in pieces."""
    return [*map(TextDelta, texts), STOP]


def calls(*named: tuple[str, str]) -> list[ModelEvent]:
    """Answer with calls of functions, by their names and arguments, in pieces."""
    events: list[ModelEvent] = []
    for index, (name, arguments) in enumerate(named):
        events.append(ToolCallDelta(index, f"call_{index}", name))
        events += [ToolCallDelta(index, arguments=each) for each in (arguments[:3], arguments[3:]) if each]
    return [*events, Finished(FinishReason.TOOL_CALLS, USAGE)]


@dataclass
class Scripted:
    """Models of which each answers with the next script, and waits at an `asyncio.Event` in it."""

    scripts: list[Sequence[ModelEvent | ModelFailed | asyncio.Event]] = field(default_factory=list)
    requests: list[ModelRequest] = field(default_factory=list)
    assistants: dict[str, MappedAssistant] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    any_assistant: bool = False
    is_closed: bool = False

    def resolve(self, name: str | None) -> Resolved | None:
        """Find a model by its name, any unless the test names them."""
        return Resolved(self, name or "default-model") if self.names is None or name in self.names else None

    def assistant(self, assistant_id: str) -> MappedAssistant | None:
        """Find a mapped assistant."""
        return MappedAssistant() if self.any_assistant else self.assistants.get(assistant_id)

    async def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Say the next script."""
        self.requests.append(request)
        for each in self.scripts.pop(0) if self.scripts else says("Hello", " there"):
            if isinstance(each, ModelFailed):
                raise each
            if isinstance(each, asyncio.Event):
                await each.wait()
            else:
                yield each
                await asyncio.sleep(0)


def events_of(stream: str) -> list[tuple[str, Any, str]]:
    """Read server-sent events: the name, the data and the id of each."""
    import json  # noqa: PLC0415

    found = []
    for frame in stream.split("\n\n"):
        lines = [line.partition(": ")[::2] for line in frame.splitlines() if not line.startswith(":")]
        fields = dict(lines)
        if "event" in fields:
            data = fields["data"]
            found.append((fields["event"], data if data == "[DONE]" else json.loads(data), fields.get("id", "")))
    return found
