"""The interface between a worker and a model of any kind.

Must not be here: HTTP, where the models come from (`settings.models`), threads and runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from gateway.settings.models import MappedAssistant


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call of a model, in the format of `/chat/completions`; what is None is not sent."""

    model: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = None  # "auto" is None
    temperature: float | None = None
    top_p: float | None = None
    max_completion_tokens: int | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text that follows that of the deltas before it; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the call of a function; `id` is in the first one of an `index`, and `name` in one of them."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class FinishReason(Enum):
    """Why a model has stopped; an unknown reason is read as STOP."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one call."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every stream that does not fail; `usage` is None where the endpoint sends none."""

    reason: FinishReason
    usage: Usage | None = None


ModelEvent = TextDelta | ToolCallDelta | Finished


class ModelFailed(Exception):
    """The model gave no complete answer; `message` is shown to the client, so it contains no key and no URL.

    `details` are for the log.
    """

    def __init__(self, code: FailureCode, message: str, details: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class FailureCode(Enum):
    """The codes of a run's `last_error`."""

    SERVER_ERROR = "server_error"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    INVALID_PROMPT = "invalid_prompt"


class Model(Protocol):
    """A model; one object serves all concurrent runs."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Answer a request; closing the generator (`aclose`) ends the call.

        A delta has all the text since the event before it, so a slow reader gets fewer.

        Errors: ModelFailed, also before the first event.
        """
        ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model, and its name at the endpoint."""

    model: Model
    name: str


class Models(Protocol):
    """The models of the settings."""

    def resolve(self, name: str | None) -> Resolved | None:
        """Find the model that a run or assistant names, or the default one for None; None where there is none.

        With one endpoint every name is found and passed on unchanged.
        """
        ...

    def assistant(self, assistant_id: str) -> MappedAssistant | None:
        """Find an assistant of the settings by its id, or by `"*"`; those in the store are not known here."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
