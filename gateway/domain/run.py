"""Runs, their steps and assistants: what is stored of each, and which status of a run may follow which.

Must not be here: how they are read from a request (`parse_run`), their JSON (`wire_run`), storage (`store`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from gateway.domain.metadata import Metadata, load_metadata
from gateway.domain.principal import Reach

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain.ids import ThreadId
    from gateway.domain.message import NewMessage
    from gateway.domain.thread import NewThread

LASTS_S: Final = 600  # from its creation until a run expires, as in the original service


class RunStatus(Enum):
    """The status of a run."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    REQUIRES_ACTION = "requires_action"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"


# Which status may follow which; a run in a status without a follower has ended. Source: contract of runs, "States".
FOLLOWERS: Final[Mapping[RunStatus, frozenset[RunStatus]]] = {
    RunStatus.QUEUED: frozenset({RunStatus.IN_PROGRESS, RunStatus.CANCELLING, RunStatus.EXPIRED, RunStatus.FAILED}),
    RunStatus.IN_PROGRESS: frozenset(
        {
            RunStatus.COMPLETED,
            RunStatus.FAILED,
            RunStatus.INCOMPLETE,
            RunStatus.REQUIRES_ACTION,
            RunStatus.CANCELLING,
            RunStatus.EXPIRED,
        }
    ),
    RunStatus.REQUIRES_ACTION: frozenset({RunStatus.QUEUED, RunStatus.CANCELLING, RunStatus.EXPIRED}),
    RunStatus.CANCELLING: frozenset({RunStatus.CANCELLED, RunStatus.EXPIRED}),
    RunStatus.CANCELLED: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.COMPLETED: frozenset(),
    RunStatus.INCOMPLETE: frozenset(),
    RunStatus.EXPIRED: frozenset(),
}
ENDED: Final = frozenset(status for status, followers in FOLLOWERS.items() if not followers)
RUN_STATUS_OF: Final = {each.value: each for each in RunStatus}


class StepType(Enum):
    """What a step of a run does."""

    MESSAGE_CREATION = "message_creation"
    TOOL_CALLS = "tool_calls"


class StepStatus(Enum):
    """The status of a step."""

    IN_PROGRESS = "in_progress"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    EXPIRED = "expired"


class RunRow(NamedTuple):
    """The stored fields of a run, in the order of the columns; those that end in `_json` are JSON or None.

    `position` is that of its creation in its thread. `settings_json` is an object of what it was created with:
    SETTINGS, in their order. `created_by` is the key or end user whose budget it is counted in, and `leased_by` the
    worker that handles it.
    """

    id: str
    thread_id: ThreadId
    position: int
    created_at: int
    assistant_id: str
    status_value: str
    expires_at: int
    started_at: int | None
    cancelled_at: int | None
    failed_at: int | None
    completed_at: int | None
    required_action_json: str | None
    last_error_json: str | None
    incomplete_json: str | None
    usage_json: str | None
    metadata_json: str
    settings_json: str
    changed_position: int | None
    created_by: str | None
    leased_by: str | None = None


SETTINGS: Final = (
    "model",
    "instructions",
    "tools",
    "tool_resources",
    "temperature",
    "top_p",
    "reasoning_effort",
    "max_completion_tokens",
    "max_prompt_tokens",
    "truncation_strategy",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
)


def usage_of(prompt: int, completion: int, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """Return tokens in the format of a run's `usage`."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_token_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


_NO_TOKENS: Final = usage_of(0, 0)


class Run(RunRow):
    """A run as it is stored.

    Units: its times are Unix seconds, UTC.
    """

    @property
    def status(self) -> RunStatus:
        """The status."""
        return RUN_STATUS_OF[self.status_value]

    @property
    def has_ended(self) -> bool:
        """Whether no other status follows."""
        return self.status in ENDED

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What it was created with, by the names of SETTINGS."""
        loaded: dict[str, Any] = orjson.loads(self.settings_json)
        return loaded

    @property
    def required_calls(self) -> list[dict[str, Any]]:
        """The calls of functions that it waits for."""
        if self.required_action_json is None:
            return []
        calls: list[dict[str, Any]] = orjson.loads(self.required_action_json)["submit_tool_outputs"]["tool_calls"]
        return calls

    @property
    def last_error(self) -> dict[str, str] | None:
        """The code and the message of what went wrong."""
        return None if self.last_error_json is None else orjson.loads(self.last_error_json)

    @property
    def incomplete_reason(self) -> str | None:
        """Why it is incomplete."""
        return None if self.incomplete_json is None else orjson.loads(self.incomplete_json)["reason"]

    @property
    def usage(self) -> dict[str, Any]:
        """The tokens of all its calls so far."""
        return _NO_TOKENS if self.usage_json is None else orjson.loads(self.usage_json)

    @cached_property
    def metadata(self) -> Metadata:
        """The metadata as a mapping."""
        return load_metadata(self.metadata_json)


class StepRow(NamedTuple):
    """The stored fields of a step, in the order of the columns; `details_json` is the API's `step_details`."""

    id: str
    run_id: str
    thread_id: ThreadId
    position: int
    assistant_id: str
    created_at: int
    type_value: str
    status_value: str
    cancelled_at: int | None
    completed_at: int | None
    expired_at: int | None
    failed_at: int | None
    last_error_json: str | None
    details_json: str
    usage_json: str | None


class RunStep(StepRow):
    """A step of a run as it is stored."""

    @property
    def status(self) -> StepStatus:
        """The status."""
        return StepStatus(self.status_value)

    @cached_property
    def details(self) -> dict[str, Any]:
        """The API's `step_details`."""
        loaded: dict[str, Any] = orjson.loads(self.details_json)
        return loaded

    @property
    def message_id(self) -> str | None:
        """The message that it creates, if it does."""
        created: dict[str, str] = self.details.get("message_creation", {})
        return created.get("message_id")

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The calls of functions, each with its output where that is known."""
        calls: list[dict[str, Any]] = self.details.get("tool_calls", [])
        return calls


class Assistant(NamedTuple):
    """An assistant as it is stored; `fields_json` is an object of ASSISTANT_FIELDS, in their order."""

    id: str
    created_at: int
    fields_json: str

    @property
    def fields(self) -> dict[str, Any]:
        """All but the id and the time, by the names of ASSISTANT_FIELDS."""
        loaded: dict[str, Any] = orjson.loads(self.fields_json)
        return loaded


ASSISTANT_FIELDS: Final[Mapping[str, Any]] = {  # each with its default
    "name": None,
    "description": None,
    "model": None,
    "instructions": None,
    "tools": [],
    "top_p": 1.0,
    "temperature": 1.0,
    "reasoning_effort": None,
    "tool_resources": {},
    "metadata": {},
    "response_format": "auto",
}


@dataclass(frozen=True, slots=True)
class NewRun:
    """Input to create a run; `given` are those of SETTINGS that were given; `additional_messages` precede it."""

    assistant_id: str
    given: dict[str, Any]
    additional_instructions: str | None = None
    additional_messages: tuple[NewMessage, ...] = ()
    metadata: Metadata = field(default_factory=dict)
    thread: NewThread | None = None  # set if the run is created with its thread
    is_streamed: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it leaves everything to its assistant."""
        return not (self.given or self.additional_instructions or self.additional_messages or self.metadata)


@dataclass(frozen=True, slots=True)
class ToolOutputs:
    """The outputs of functions that a run waits for, each with the id of its call."""

    given: tuple[tuple[str, str], ...]
    is_streamed: bool = False


class OpenRun(NamedTuple):
    """A run that a worker handles, with its project."""

    project_id: str
    run: Run

    @property
    def reach(self) -> Reach:
        """The reach of its worker."""
        return Reach(self.project_id)


class PaidRun(NamedTuple):
    """A run, its position, and whose budget it is counted in (`Principal.payer`)."""

    thread_id: ThreadId
    position: int
    id: str
    payer: str | None
