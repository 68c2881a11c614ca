"""The events of a streamed run: what lies between two states of it, in the order of the original service.

A stream is made of states as they are read, however many changes lie between two of them; so it is the same for every
reader, and can begin anywhere.
Source: contract of runs, "Streaming".
Must not be here: how events are sent (`rest`), when a state is read (`runs`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway.domain import wire, wire_run
from gateway.domain.message import Status
from gateway.domain.run import Run, RunStatus, RunStep, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.domain.message import Message
    from gateway.domain.wire import JsonValue

_PAUSED: Final = RunStatus.REQUIRES_ACTION


class Place(NamedTuple):
    """How far a reader has come: which creations it has seen, by position, and how much of the last text.

    Units: `offset` is in characters.
    """

    position: int = 0
    offset: int = 0


_NOWHERE: Final = Place()


class Event(NamedTuple):
    """An event, its data, and the place of a reader that has seen it."""

    name: str
    data: JsonValue
    place: Place


class RunView(NamedTuple):
    """A run as it is at one moment: with its steps, oldest first, and those of their messages that were read."""

    run: Run
    steps: tuple[RunStep, ...]
    messages: Mapping[str, Message]

    @property
    def is_over(self) -> bool:
        """Whether a stream of it ends here: nothing follows, or only after outputs of tools."""
        return self.run.has_ended or self.run.status is _PAUSED


@dataclass(slots=True)
class _SeenStep:
    is_open: bool = True
    text: int = 0  # characters of its message
    arguments: list[int] = field(default_factory=list)  # characters of each call's


@dataclass(slots=True)
class Seen:
    """What a reader has seen of a run."""

    place: Place = _NOWHERE
    status: RunStatus | None = None
    steps: dict[str, _SeenStep] = field(default_factory=dict)

    def has_finished(self, step_id: str) -> bool:
        """Say whether nothing of a step is left to see."""
        return step_id in self.steps and not self.steps[step_id].is_open


def seen_at(view: RunView, place: Place | None = None) -> Seen:
    """Return what a reader has seen at a place, or of all of a view; it sees again how things that it knows ended."""
    seen = Seen(
        Place(view.run.position) if place is None else place, view.run.status if place is None else RunStatus.QUEUED
    )
    known = [step for step in view.steps if place is None or step.position <= place.position]
    for step in known:
        arguments = [len(call["function"]["arguments"]) for call in step.calls]
        seen.steps[step.id] = _SeenStep(step.status is StepStatus.IN_PROGRESS, arguments=arguments)
    if known:
        last = seen.steps[known[-1].id]
        if place is not None:
            last.is_open, last.text = True, place.offset
        seen.place = Place(max(seen.place.position, known[-1].position), last.text)
    return seen


def events_between(seen: Seen, view: RunView) -> Iterator[Event]:
    """Yield the events from what a reader has seen to a view, and note them as seen."""
    run = view.run
    if seen.status is None:
        seen.place = Place(run.position)
        yield _of_run(seen, run, RunStatus.QUEUED, name="created")
        yield _of_run(seen, run, RunStatus.QUEUED)
    elif seen.status is _PAUSED:
        went_on = [step for step in view.steps if seen.steps.get(step.id, _SeenStep()).is_open and _has_output(step)]
        for step in went_on:
            yield from _end_of_step(seen, step)
        if went_on or run.status in (RunStatus.QUEUED, RunStatus.IN_PROGRESS):
            yield _of_run(seen, run, RunStatus.QUEUED)
    if seen.status is RunStatus.QUEUED and run.status is not RunStatus.QUEUED and run.started_at is not None:
        yield _of_run(seen, run, RunStatus.IN_PROGRESS)
    for step in view.steps:
        yield from _of_step(seen, step, view.messages)
    if run.status is RunStatus.CANCELLED and seen.status is not RunStatus.CANCELLING:
        yield _of_run(seen, run, RunStatus.CANCELLING)
    if run.status is not seen.status:
        yield _of_run(seen, run, run.status)


def cancelled_with_thread(seen: Seen, run: Run) -> Event:
    """Return the last event of a run whose thread was deleted."""
    return _of_run(seen, Run(*run)._replace(status_value=RunStatus.CANCELLED.value), RunStatus.CANCELLED)


def _has_output(step: RunStep) -> bool:
    return step.status is StepStatus.COMPLETED and bool(step.calls)


def _of_run(seen: Seen, run: Run, status: RunStatus, name: str = "") -> Event:
    """Return an event of a run as it was in a status that it may have left."""
    seen.status = status
    if status is not run.status:
        ends = _nothing("cancelled_at", "failed_at", "completed_at", "required_action_json", "last_error_json")
        was_started = run.started_at if status is not RunStatus.QUEUED else None
        run = run._replace(status_value=status.value, started_at=was_started, incomplete_json=None, **ends)
    return Event(f"thread.run.{name or status.value}", wire_run.run(run), seen.place)


def _of_step(seen: Seen, step: RunStep, messages: Mapping[str, Message]) -> Iterator[Event]:
    known = seen.steps.get(step.id)
    message = None if step.message_id is None else messages.get(step.message_id)
    if known is None:
        known = seen.steps[step.id] = _SeenStep()
        seen.place = Place(step.position)
        begun = wire_run.step(_begun(step))
        yield Event("thread.run.step.created", begun, seen.place)
        yield Event("thread.run.step.in_progress", begun, seen.place)
        if message is not None:
            empty = wire.message(_begun_message(message))
            yield Event("thread.message.created", empty, seen.place)
            yield Event("thread.message.in_progress", empty, seen.place)
    if not known.is_open:
        return
    if message is not None:
        yield from _of_text(seen, known, message)
    for index, call in enumerate(step.calls):
        yield from _of_call(seen, known, step, index=index, call=call)
    if step.status is not StepStatus.IN_PROGRESS:
        if message is not None and message.status is not Status.IN_PROGRESS:
            yield Event(f"thread.message.{message.status_value}", wire.message(message), seen.place)
        yield from _end_of_step(seen, step)


def _end_of_step(seen: Seen, step: RunStep) -> Iterator[Event]:
    seen.steps[step.id].is_open = False
    yield Event(f"thread.run.step.{step.status_value}", wire_run.step(step), seen.place)


def _of_text(seen: Seen, known: _SeenStep, message: Message) -> Iterator[Event]:
    text = message.text
    if len(text) <= known.text:
        return
    value: dict[str, Any] = {"value": text[known.text :]}
    if known.text == 0:
        value["annotations"] = []
    known.text = len(text)
    seen.place = seen.place._replace(offset=len(text))
    delta = {"content": [{"index": 0, "type": "text", "text": value}]}
    yield Event(
        "thread.message.delta", {"id": message.id, "object": "thread.message.delta", "delta": delta}, seen.place
    )


def _of_call(seen: Seen, known: _SeenStep, step: RunStep, *, index: int, call: dict[str, Any]) -> Iterator[Event]:
    function = call["function"]
    if index == len(known.arguments):
        known.arguments.append(0)
        first = {"name": function["name"], "arguments": "", "output": None}
        yield _delta(seen, step, {"index": index, "id": call["id"], "type": "function", "function": first})
    further = function["arguments"][known.arguments[index] :]
    if further:
        known.arguments[index] += len(further)
        yield _delta(seen, step, {"index": index, "type": "function", "function": {"arguments": further}})


def _delta(seen: Seen, step: RunStep, call: dict[str, Any]) -> Event:
    details = {"type": "tool_calls", "tool_calls": [call]}
    data = {"id": step.id, "object": "thread.run.step.delta", "delta": {"step_details": details}}
    return Event("thread.run.step.delta", data, seen.place)


def _begun(step: RunStep) -> RunStep:
    """Return a step as it was when it began."""
    ends = _nothing("cancelled_at", "completed_at", "expired_at", "failed_at", "last_error_json", "usage_json")
    details = wire.dump_text({"type": "tool_calls", "tool_calls": []}) if step.calls else step.details_json
    return step._replace(status_value=StepStatus.IN_PROGRESS.value, details_json=details, **ends)


def _begun_message(message: Message) -> Message:
    """Return a message as it was when it began."""
    ends = _nothing("completed_at", "incomplete_at", "reason_value")
    return message._replace(status_value=Status.IN_PROGRESS.value, content_json=b"[]", **ends)


def _nothing(*fields: str) -> dict[str, Any]:
    return dict.fromkeys(fields)
