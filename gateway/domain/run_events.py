"""The events of a streamed run: the difference between two of its states, in the order of the original service.

A stream is made from the states that are read, however many changes lie between two of them; so it is the same for
every reader, and can begin anywhere.
Source: contract of runs, "Streaming".
Must not be here: how events are sent (`rest`), when a state is read (`runs`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway.domain import wire, wire_run
from gateway.domain.message import Status
from gateway.domain.run import Run, RunStatus, RunStep, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.domain.delta import Delta
    from gateway.domain.message import Message
    from gateway.domain.wire import JsonValue

_PAUSED: Final = RunStatus.REQUIRES_ACTION


class Place(NamedTuple):
    """The progress of a reader: which creations it has seen, by position, and how much of the last text.

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


class Tail(NamedTuple):
    """What a text has gained after the part of it that a reader has seen, and where it ends."""

    text: str
    end: Place


class RunView(NamedTuple):
    """A run at one moment: with its steps, oldest first, and those of their messages that were read.

    `tails` has, by step, what was appended to messages in progress, instead of their whole text.
    """

    run: Run
    steps: tuple[RunStep, ...]
    messages: Mapping[str, Message]
    tails: Mapping[str, Tail | None] = {}

    @property
    def is_over(self) -> bool:
        """Whether a stream of it ends here: nothing follows, or nothing before the outputs of tools."""
        return self.run.has_ended or self.run.status is _PAUSED


@dataclass(slots=True)
class _SeenStep:
    is_open: bool = True
    text: int = 0  # characters of its message
    position: int = 0  # of the last delta of it
    arguments: list[int] = field(default_factory=list)  # characters of each call's


@dataclass(slots=True)
class Seen:
    """What a reader has seen of a run."""

    place: Place = _NOWHERE
    status: RunStatus | None = None
    passed: int = 0  # the position up to which nothing is left to see of the steps
    steps: dict[str, _SeenStep] = field(default_factory=dict)

    def has_finished(self, step_id: str) -> bool:
        """Say whether nothing of a step is left to see."""
        return step_id in self.steps and not self.steps[step_id].is_open

    def place_in(self, step: RunStep) -> Place | None:
        """Return the progress of a reader in a text, by the position of a delta; None where the text has not begun."""
        known = self.steps.get(step.id)
        return None if known is None or step.status is not StepStatus.IN_PROGRESS else Place(known.position, known.text)


def tail_of(place: Place, added: Iterable[tuple[int, Delta]]) -> Tail | None:
    """Join the deltas of a message after a place; None where they may not follow it without a gap.

    Deltas become part of the content from time to time, and an older version did not count their characters.
    """
    position, end = place
    texts: list[str] = []
    for position, delta in added:  # noqa: B007  (the last one)
        begin = (delta.characters or 0) - len(delta.text)
        if delta.characters is None or delta.part_index or begin > end:
            return None
        texts.append(delta.text[end - begin :])
        end = max(end, delta.characters)
    return Tail("".join(texts), Place(position, end))


def seen_at(view: RunView, place: Place | None = None) -> Seen:
    """Return what a reader has seen at a place, or of a whole view; it sees the ends of what it knows again."""
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
        yield from _of_step(seen, step, view)
    passed = takewhile(lambda step: seen.has_finished(step.id), view.steps)
    seen.passed = max((step.position for step in passed), default=seen.passed)
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


def _of_step(seen: Seen, step: RunStep, view: RunView) -> Iterator[Event]:
    known = seen.steps.get(step.id)
    message = None if step.message_id is None else view.messages.get(step.message_id)
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
    tail = view.tails.get(step.id)
    if tail is None and message is not None:
        tail = Tail(message.text[known.text :], Place(known.position, len(message.text)))
    if tail is not None and step.message_id is not None:
        yield from _of_text(seen, known, step.message_id, tail)
    for index, call in enumerate(step.calls):
        yield from _of_call(seen, known, step, index=index, call=call)
    if step.status is not StepStatus.IN_PROGRESS:
        if message is not None and message.status is not Status.IN_PROGRESS:
            yield Event(f"thread.message.{message.status_value}", wire.message(message), seen.place)
        yield from _end_of_step(seen, step)


def _end_of_step(seen: Seen, step: RunStep) -> Iterator[Event]:
    seen.steps[step.id].is_open = False
    yield Event(f"thread.run.step.{step.status_value}", wire_run.step(step), seen.place)


def _of_text(seen: Seen, known: _SeenStep, message_id: str, tail: Tail) -> Iterator[Event]:
    known.position = tail.end.position
    if not tail.text:
        return
    value: dict[str, Any] = {"value": tail.text}
    if known.text == 0:
        value["annotations"] = []
    known.text = tail.end.offset
    seen.place = seen.place._replace(offset=known.text)
    delta = {"content": [{"index": 0, "type": "text", "text": value}]}
    yield Event(
        "thread.message.delta", {"id": message_id, "object": "thread.message.delta", "delta": delta}, seen.place
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
