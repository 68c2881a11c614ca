"""Imported runs, their steps and assistants, in addition to what `archive` reads: history, which no worker continues.

Source: contract of runs, "Objects"; exports of other services and SDKs.
Must not be here: files and lines (`transfer`), threads and messages (`archive`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gateway.domain import archive, bounds, ids, validate
from gateway.domain.parse_run import new_assistant
from gateway.domain.run import (
    ASSISTANT_FIELDS,
    ENDED,
    LASTS_S,
    RUN_STATUS_OF,
    SETTINGS,
    Assistant,
    Run,
    RunStatus,
    RunStep,
    StepStatus,
    StepType,
)
from gateway.domain.wire import dump_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.domain.archive import ThreadOrder
    from gateway.domain.idempotency import KeyRecord
    from gateway.domain.message import Message
    from gateway.domain.thread import Thread
    from gateway.domain.validate import JsonObject

    OfRun = Run | RunStep | Assistant

_RUN_FIELDS: Final = (
    "id",
    "object",
    "created_at",
    "assistant_id",
    "thread_id",
    "status",
    "started_at",
    "expires_at",
    "cancelled_at",
    "failed_at",
    "completed_at",
    "required_action",
    "last_error",
    "metadata",
    "incomplete_details",
    "usage",
    *SETTINGS,
)
_STEP_FIELDS: Final = (
    "id",
    "object",
    "created_at",
    "run_id",
    "assistant_id",
    "thread_id",
    "type",
    "status",
    "cancelled_at",
    "completed_at",
    "expires_at",
    "expired_at",
    "failed_at",
    "last_error",
    "step_details",
    "usage",
)
_ABSENT: Final[dict[str, Any]] = {  # the defaults of SETTINGS that older exports omit; what is null there stays null
    "tools": [],
    "tool_resources": {},
    "truncation_strategy": {"type": "auto", "last_messages": None},
    "response_format": "auto",
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}
_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "model": ((str,), "a string"),
    "instructions": ((str,), "a string"),
    "tools": ((list,), "an array"),
    "tool_resources": ((dict,), "an object"),
    "temperature": ((int, float), "a number"),
    "top_p": ((int, float), "a number"),
    "reasoning_effort": ((str,), "a string"),
    "max_completion_tokens": ((int,), "an integer"),
    "max_prompt_tokens": ((int,), "an integer"),
    "truncation_strategy": ((dict,), "an object"),
    "response_format": ((str, dict), "a string or an object"),
    "tool_choice": ((str, dict), "a string or an object"),
    "parallel_tool_calls": ((bool,), "a boolean"),
}
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_STEP_TYPES: Final = tuple(each.value for each in StepType)
_STEP_STATUSES: Final = tuple(each.value for each in StepStatus)


def read(value: object) -> Thread | Message | ThreadOrder | KeyRecord | OfRun:
    """Parse an object of the API, without limits of size.

    Errors: InvalidRequest if it is not one, or is incomplete.
    """
    kind = value.get("object") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(kind, str) or kind not in _READERS:
        return archive.read(value)
    if archive.is_too_deep(value):
        archive.read_strictly(value)  # says so
    return _READERS[kind](value)


def check_bounds(found: OfRun) -> None:
    """Reject a run or step that exceeds the limit of an import, as `archive.check_bounds` does a message.

    Errors: InvalidRequest with a code of LIMIT_CODES.
    """
    if isinstance(found, Run):
        validate.total(len(found.settings_json), "settings", bounds.IMPORT_TEXT)
    elif isinstance(found, RunStep):
        validate.total(len(found.details_json), "step_details", bounds.IMPORT_TEXT)


def _run(raw: JsonObject) -> Run:
    archive.check_fields(raw, _RUN_FIELDS, ("id", "created_at", "assistant_id", "thread_id", "status"))
    status = RUN_STATUS_OF[validate.one_of(raw["status"], "status", tuple(RUN_STATUS_OF))]
    created_at = archive.a_time(raw["created_at"], "created_at")
    expires_at = archive.time_or_null(raw.get("expires_at"), "expires_at")
    return Run(
        id=_id(raw, "id", "run"),
        thread_id=archive.thread_id_of(raw),
        position=0,
        created_at=created_at,
        assistant_id=archive.a_reference(raw["assistant_id"], "assistant_id"),
        status_value=(status if status in ENDED else RunStatus.EXPIRED).value,
        expires_at=created_at + LASTS_S if expires_at is None else expires_at,
        started_at=archive.time_or_null(raw.get("started_at"), "started_at"),
        cancelled_at=archive.time_or_null(raw.get("cancelled_at"), "cancelled_at"),
        failed_at=archive.time_or_null(raw.get("failed_at"), "failed_at"),
        completed_at=archive.time_or_null(raw.get("completed_at"), "completed_at"),
        required_action_json=None,  # no client waits for it
        last_error_json=_last_error(raw),
        incomplete_json=_incomplete(raw.get("incomplete_details")),
        usage_json=_usage(raw),
        metadata_json=dump_text(archive.metadata_of(raw.get("metadata"))),
        settings_json=dump_text({name: _setting(raw, name) for name in SETTINGS}),
        changed_position=None,
        created_by=None,
    )


def _step(raw: JsonObject) -> RunStep:
    archive.check_fields(
        raw,
        _STEP_FIELDS,
        ("id", "created_at", "run_id", "assistant_id", "thread_id", "type", "status", "step_details"),
    )
    status = validate.one_of(raw["status"], "status", _STEP_STATUSES)
    kind = validate.one_of(raw["type"], "type", _STEP_TYPES)
    return RunStep(
        id=_id(raw, "id", "step"),
        run_id=_id(raw, "run_id", "run"),
        thread_id=archive.thread_id_of(raw),
        position=0,
        assistant_id=archive.a_reference(raw["assistant_id"], "assistant_id"),
        created_at=archive.a_time(raw["created_at"], "created_at"),
        type_value=kind,
        status_value=StepStatus.EXPIRED.value if status == StepStatus.IN_PROGRESS.value else status,
        cancelled_at=archive.time_or_null(raw.get("cancelled_at"), "cancelled_at"),
        completed_at=archive.time_or_null(raw.get("completed_at"), "completed_at"),
        expired_at=archive.time_or_null(raw.get("expired_at"), "expired_at"),
        failed_at=archive.time_or_null(raw.get("failed_at"), "failed_at"),
        last_error_json=_last_error(raw),
        details_json=dump_text(_details(raw["step_details"], kind)),
        usage_json=_usage(raw),
    )


def _assistant(raw: JsonObject) -> Assistant:
    """Read an assistant that can run here: one with other tools than functions is refused, as at its creation."""
    archive.check_fields(raw, ("id", "object", "created_at", *ASSISTANT_FIELDS), ("id", "created_at", "model"))
    return Assistant(
        id=_id(raw, "id", "asst"),
        created_at=archive.a_time(raw["created_at"], "created_at"),
        fields_json=dump_text(new_assistant({name: raw[name] for name in ASSISTANT_FIELDS if name in raw})),
    )


_READERS: Final[dict[str, Callable[[JsonObject], OfRun]]] = {
    archive.RUN: _run,
    archive.STEP: _step,
    archive.ASSISTANT: _assistant,
}


def _id(raw: JsonObject, name: str, kind: str) -> str:
    return archive.an_id(raw[name], name, partial(ids.as_other_id, kind), f"{kind}_")


def _setting(raw: JsonObject, name: str) -> Any:
    """Return a setting as it was read; where it is absent, the default of the service."""
    value: Any = raw.get(name)
    if value is None:
        return _ABSENT.get(name) if name not in raw or name in ("tools", "tool_resources") else None
    types, wanted = _TYPES[name]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        validate.refuse_type(name, wanted, value)
    if name == "tools":
        for index, tool in enumerate(validate.an_array(value, name)):
            validate.a_string(validate.an_object(tool, f"tools[{index}]").get("type"), f"tools[{index}].type")
    return value


def _last_error(raw: JsonObject) -> str | None:
    if raw.get("last_error") is None:
        return None
    error = validate.an_object(raw["last_error"], "last_error")
    validate.fields(error, "last_error", required=("code", "message"))
    return dump_text({name: validate.a_string(error[name], f"last_error.{name}") for name in ("code", "message")})


def _incomplete(value: object) -> str | None:
    if value is None or value == {}:
        return None
    details = validate.an_object(value, "incomplete_details")
    validate.fields(details, "incomplete_details", required=("reason",))
    return dump_text({"reason": validate.a_string(details["reason"], "incomplete_details.reason")})


def _usage(raw: JsonObject) -> str | None:
    """Check the counts of tokens that both faces return; details are kept as they are."""
    if raw.get("usage") is None:
        return None
    usage = validate.an_object(raw["usage"], "usage")
    validate.fields(usage, "usage", required=_COUNTS, optional=tuple(usage))
    for name in _COUNTS:
        validate.an_integer(usage[name], f"usage.{name}", at_least=0, at_most=archive.MAX_INDEX)
    return dump_text(usage)


def _details(value: object, kind: str) -> JsonObject:
    """Check what a step has done; calls of any tool are kept as they are."""
    details = validate.an_object(value, "step_details")
    validate.fields(details, "step_details", required=("type", kind), optional=tuple(details))
    validate.one_of(details["type"], "step_details.type", (kind,))
    path = f"step_details.{kind}"
    if kind == StepType.MESSAGE_CREATION.value:
        validate.a_string(validate.an_object(details[kind], path).get("message_id"), f"{path}.message_id")
        return details
    for index, each in enumerate(validate.an_array(details[kind], path)):
        at = f"{path}[{index}]"
        call = validate.an_object(each, at)
        validate.fields(call, at, required=("id", "type"), optional=tuple(call))
        validate.a_string(call["id"], f"{at}.id")
        if validate.a_string(call["type"], f"{at}.type") == "function":
            _function(validate.an_object(call.get("function"), f"{at}.function"), f"{at}.function")
    return details


def _function(function: JsonObject, at: str) -> None:
    validate.fields(function, at, required=("name", "arguments"), optional=tuple(function))
    for name in ("name", "arguments"):
        validate.a_string(function[name], f"{at}.{name}")
    if function.get("output") is not None:
        validate.a_string(function["output"], f"{at}.output")
