"""Serialization of runs, steps and assistants to JSON objects of the API, the inverse of `parse_run`.

Source: contract of runs, "Objects"; the order of keys is that of recorded responses.
Must not be here: envelopes of lists (`rest`), which events a stream has (`run_events`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orjson import Fragment

from gateway.domain.run import StepStatus

if TYPE_CHECKING:
    from gateway.domain.run import Assistant, Run, RunStep
    from gateway.domain.wire import JsonValue


def run(run: Run) -> JsonValue:
    """Convert a run to the API's `thread.run` object, ready for `dump`."""
    own = run.settings
    return {
        "id": run.id,
        "object": "thread.run",
        "created_at": run.created_at,
        "assistant_id": run.assistant_id,
        "thread_id": run.thread_id,
        "status": run.status_value,
        "started_at": run.started_at,
        "expires_at": None if run.has_ended else run.expires_at,
        "cancelled_at": run.cancelled_at,
        "failed_at": run.failed_at,
        "completed_at": run.completed_at,
        "required_action": _stored(run.required_action_json),
        "last_error": _stored(run.last_error_json),
        "model": "default" if own["model"] is None else own["model"],
        "instructions": ""
        if own["instructions"] is None
        else own["instructions"],  # null in an assistant, never in a run
        "tools": own["tools"],
        "tool_resources": own["tool_resources"],
        "metadata": Fragment(run.metadata_json),
        "temperature": own["temperature"],
        "top_p": own["top_p"],
        "reasoning_effort": own["reasoning_effort"],
        "max_completion_tokens": own["max_completion_tokens"],
        "max_prompt_tokens": own["max_prompt_tokens"],
        "truncation_strategy": own["truncation_strategy"],
        "incomplete_details": _stored(run.incomplete_json),
        "usage": _stored(run.usage_json) if run.has_ended else None,
        "response_format": own["response_format"],
        "tool_choice": own["tool_choice"],
        "parallel_tool_calls": own["parallel_tool_calls"],
    }


def step(step: RunStep) -> JsonValue:
    """Convert a step to the API's `thread.run.step` object, ready for `dump`.

    Recorded steps have `expires_at`, the specification `expired_at` and `metadata`; ours have all three.
    """
    return {
        "id": step.id,
        "object": "thread.run.step",
        "created_at": step.created_at,
        "run_id": step.run_id,
        "assistant_id": step.assistant_id,
        "thread_id": step.thread_id,
        "type": step.type_value,
        "status": step.status_value,
        "cancelled_at": step.cancelled_at,
        "completed_at": step.completed_at,
        "expires_at": None,
        "expired_at": step.expired_at,
        "failed_at": step.failed_at,
        "last_error": _stored(step.last_error_json),
        "step_details": Fragment(step.details_json),
        "metadata": None,
        "usage": None if step.status is StepStatus.IN_PROGRESS else _stored(step.usage_json),
    }


def assistant(assistant: Assistant) -> JsonValue:
    """Convert an assistant to the API's `assistant` object, ready for `dump`."""
    return {"id": assistant.id, "object": "assistant", "created_at": assistant.created_at, **assistant.fields}


def _stored(text: str | None) -> Any:
    return None if text is None else Fragment(text)
