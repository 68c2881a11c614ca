"""The use cases of answering a run: its beginning, its steps and its end; each is one transaction.

Each locks the row of the thread before it reads the run: so a run that has ended, or that is being cancelled, gets no
further step, and ends only once.
Must not be here: which model answers (`runs`), the text of a message in progress (`streaming`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from gateway.core.clock import now_ms
from gateway.domain.ids import ThreadId, new_id, new_message_id
from gateway.domain.message import Ending, IncompleteReason, Message, Role, Status, finished, plain_text
from gateway.domain.principal import Reach
from gateway.domain.run import FOLLOWERS, Run, RunStatus, RunStep, StepStatus, StepType
from gateway.domain.wire import dump_text
from gateway.errors import NotFound, ThreadLocked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from gateway.core import Store
    from gateway.domain.run import OpenRun
    from gateway.store.runs import RunWrites

T = TypeVar("T")

Call = dict[str, Any]  # a call of a function, as a step has it


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ends: its last status, what went wrong or was left out, and the tokens of its last call of a model."""

    status: RunStatus
    error: tuple[str, str] | None = None  # code and message
    reason: str | None = None  # why it is incomplete
    usage: Mapping[str, Any] | None = None


class RunLost(Exception):
    """The run cannot continue: it was cancelled, has ended, or was deleted with its thread."""


class LeaseLost(RunLost):
    """Another worker handles the run, since this one did not renew its lease in time."""


# How a message and a step in progress end when their run gets this status.
_MESSAGE_ENDS: Final[Mapping[RunStatus, IncompleteReason | None]] = {
    RunStatus.COMPLETED: None,
    RunStatus.REQUIRES_ACTION: None,
    RunStatus.CANCELLED: IncompleteReason.RUN_CANCELLED,
    RunStatus.EXPIRED: IncompleteReason.RUN_EXPIRED,
    RunStatus.FAILED: IncompleteReason.RUN_FAILED,
    RunStatus.INCOMPLETE: IncompleteReason.MAX_TOKENS,
}
_STEP_ENDS: Final[Mapping[RunStatus, StepStatus]] = {
    RunStatus.COMPLETED: StepStatus.COMPLETED,
    RunStatus.REQUIRES_ACTION: StepStatus.COMPLETED,
    RunStatus.CANCELLED: StepStatus.CANCELLED,
    RunStatus.EXPIRED: StepStatus.EXPIRED,
    RunStatus.FAILED: StepStatus.FAILED,
    RunStatus.INCOMPLETE: StepStatus.COMPLETED,
}
_RUN_TIMES: Final = {
    RunStatus.COMPLETED: "completed_at",
    RunStatus.CANCELLED: "cancelled_at",
    RunStatus.FAILED: "failed_at",
    RunStatus.INCOMPLETE: "completed_at",
}
_CONTENT_FILTER: Final = "content_filter"


async def unless_overdue(store: Store, reach: Reach, work: Callable[[], Awaitable[T]]) -> T:
    """Do what needs an unlocked thread; an expired run that locks it is ended first.

    Errors: those of the work; ThreadLocked where the run has not expired.
    """
    try:
        return await work()
    except ThreadLocked as error:
        if not error.is_overdue:
            raise
        project, thread_id, run_id = Reach(reach.project_id), ThreadId(error.thread_id), error.run_id
        if await end(store, project, run_id, Outcome(RunStatus.EXPIRED)) is None:  # no such run: a damaged file
            await store.write(lambda transaction: transaction.free_thread(project, thread_id, run_id))
        return await work()


async def begin(store: Store, open_run: OpenRun) -> Run:
    """Set a run in progress: it was queued, or begun by a process that has died.

    Errors: RunLost.
    """
    reach, run = open_run.reach, open_run.run
    now = int(time.time())

    async def work(transaction: RunWrites) -> Run:
        position, current = await _held(transaction, reach, run, RunStatus.QUEUED)
        change = {"status": RunStatus.IN_PROGRESS.value, "started_at": now, "changed_position": position}
        await transaction.set_run(reach, run.id, change)
        return current._replace(status_value=RunStatus.IN_PROGRESS.value, started_at=now)

    return await store.write(work, run.thread_id)


async def begin_message(store: Store, open_run: OpenRun, text: str) -> Message:
    """Add the message of a run with the beginning of its text, and the step that creates it.

    So no message of a run is without text, and a run with text is never answered by a second call.
    Errors: RunLost.
    """
    reach, run = open_run.reach, open_run.run
    parts = [{"type": "text", "text": {"value": text, "annotations": []}}]
    active_at = now_ms()
    message = Message(
        id=new_message_id(),
        thread_id=run.thread_id,
        created_at=active_at // 1_000,
        role_value=Role.ASSISTANT.value,
        status_value=Status.IN_PROGRESS.value,
        content_json=orjson.dumps(parts),
        attachments_json="[]",
        metadata_json="{}",
        run_id=run.id,
        assistant_id=run.assistant_id,
        plain_text=plain_text(parts),
    )
    details = {"type": StepType.MESSAGE_CREATION.value, "message_creation": {"message_id": message.id}}

    async def work(transaction: RunWrites) -> Message:
        await _add_step(transaction, reach, run, details)
        try:
            return await transaction.add_message_of_run(reach, message, run.id, active_at)
        except NotFound as error:  # the thread was deleted since the step was added
            raise RunLost from error

    return await store.write(work, run.thread_id)


async def begin_calls(store: Store, open_run: OpenRun, calls: Sequence[Call]) -> RunStep:
    """Add the step of a run that calls functions.

    Errors: RunLost.
    """
    reach, run = open_run.reach, open_run.run
    return await store.write(lambda transaction: _add_step(transaction, reach, run, _details(calls)), run.thread_id)


async def set_calls(store: Store, open_run: OpenRun, step_id: str, calls: Sequence[Call]) -> None:
    """Write the calls of functions as far as the model has sent them.

    Errors: RunLost.
    """
    reach, run = open_run.reach, open_run.run

    async def work(transaction: RunWrites) -> None:
        await _held(transaction, reach, run)
        await transaction.set_step(reach, step_id, {"details": dump_text(_details(calls))})

    await store.write(work, run.thread_id)


async def require_action(
    store: Store, open_run: OpenRun, step_id: str, calls: Sequence[Call], usage: Mapping[str, Any] | None
) -> Run:
    """Have a run wait for the outputs of functions until it expires; a message before the calls is complete.

    Errors: RunLost.
    """
    reach, run = open_run.reach, open_run.run
    functions = [{**call, "function": _without_output(call)} for call in calls]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": functions}}

    async def work(transaction: RunWrites) -> Run:
        _, current = await _held(transaction, reach, run)
        steps = [step for step in await transaction.steps_of(reach, run.id) if step.id != step_id]
        await _end_steps(transaction, reach, steps, Outcome(RunStatus.REQUIRES_ACTION))
        await transaction.set_step(reach, step_id, {"details": dump_text(_details(calls)), "usage": _dumped(usage)})
        change = {
            "status": RunStatus.REQUIRES_ACTION.value,
            "required_action": dump_text(action),
            "usage": _dumped(_sum(current, usage)),
            "changed_position": await transaction.next_position(reach, run.thread_id),
            "due_at": current.expires_at * 1000,
            "leased_by": None,
        }
        await transaction.set_run(reach, run.id, change)
        return current

    return await store.write(work, run.thread_id)


async def end(store: Store, reach: Reach, run_id: str, outcome: Outcome, *, holder: str | None = None) -> Run | None:
    """End a run with its steps and messages in progress, and free its thread; None where it had ended, or is gone.

    A run that is being cancelled is cancelled, however it would have ended. With a `holder` it is ended only while
    that worker has its lease.
    """
    now = int(time.time())

    async def work(transaction: RunWrites) -> Run | None:
        try:
            _, run = await _locked(transaction, reach, run_id)
        except RunLost:
            return None
        last = outcome
        if run.status is RunStatus.CANCELLING:
            last = Outcome(RunStatus.CANCELLED, usage=outcome.usage)
        if last.status not in FOLLOWERS[run.status] or (holder is not None and run.leased_by != holder):
            return None
        await _end_steps(transaction, reach, await transaction.steps_of(reach, run_id), last)
        change = {
            "status": last.status.value,
            "required_action": None,
            "last_error": _last_error(last),
            "incomplete": _dumped(last.reason and {"reason": last.reason}),
            "usage": dump_text(_sum(run, last.usage)),
            "changed_position": await transaction.free_thread(reach, run.thread_id, run_id),
            "due_at": None,
            "leased_by": None,
        }
        if last.status in _RUN_TIMES:
            change[_RUN_TIMES[last.status]] = now
        await transaction.set_run(reach, run_id, change)
        return await transaction.get_run(reach, run_id)

    return await store.write(work, run_id)


async def _locked(transaction: RunWrites, reach: Reach, run_id: str) -> tuple[int, Run]:
    """Lock the thread of a run; return the position of the change, and the run as it is then.

    Errors: RunLost where it is gone.
    """
    run = await transaction.get_run(reach, run_id)
    if run is None:
        raise RunLost
    position = await transaction.next_position(reach, run.thread_id)
    run = await transaction.get_run(reach, run_id)
    if run is None:
        raise RunLost
    return position, run


async def _held(transaction: RunWrites, reach: Reach, held: Run, *also: RunStatus) -> tuple[int, Run]:
    """Do the same for a run that a worker has leased, and that is in progress or in another allowed status.

    A process that was suspended for longer than its lease writes nothing into a run that another has taken over.
    Errors: LeaseLost; RunLost where it has another status.
    """
    position, run = await _locked(transaction, reach, held.id)
    if run.leased_by != held.leased_by:
        raise LeaseLost
    if run.status not in (RunStatus.IN_PROGRESS, *also):
        raise RunLost
    return position, run


async def _add_step(transaction: RunWrites, reach: Reach, run: Run, details: dict[str, Any]) -> RunStep:
    position, _ = await _held(transaction, reach, run)
    step = RunStep(
        id=new_id("step"),
        run_id=run.id,
        thread_id=run.thread_id,
        position=position,
        assistant_id=run.assistant_id,
        created_at=int(time.time()),
        type_value=details["type"],
        status_value=StepStatus.IN_PROGRESS.value,
        cancelled_at=None,
        completed_at=None,
        expired_at=None,
        failed_at=None,
        last_error_json=None,
        details_json=dump_text(details),
        usage_json=None,
    )
    await transaction.add_step(reach, step)
    return step


async def _end_steps(transaction: RunWrites, reach: Reach, steps: Sequence[RunStep], outcome: Outcome) -> None:
    """End the steps that are in progress, and their messages."""
    now = int(time.time())
    status = _STEP_ENDS[outcome.status].value
    for step in steps:
        if step.status is not StepStatus.IN_PROGRESS:
            continue
        if step.message_id is not None:
            await _end_message(transaction, reach, step, outcome)
        change = {"status": status, f"{status}_at": now, "last_error": _last_error(outcome)}
        if outcome.usage is not None:
            change["usage"] = dump_text(outcome.usage)
        await transaction.set_step(reach, step.id, change)


async def _end_message(transaction: RunWrites, reach: Reach, step: RunStep, outcome: Outcome) -> None:
    message_id = step.message_id or ""
    message = (await transaction.get_messages(reach, [message_id])).get(message_id)
    if message is None or message.status is not Status.IN_PROGRESS:
        return  # a client has deleted or finished it
    active_at, reason = now_ms(), _MESSAGE_ENDS[outcome.status]
    now = active_at // 1_000
    if outcome.reason == _CONTENT_FILTER:
        reason = IncompleteReason.CONTENT_FILTER
    ended = finished(message, Ending(Status.COMPLETED if reason is None else Status.INCOMPLETE, reason), now)
    position = await transaction.begin_finish(reach, message.id, active_at)
    await transaction.set_message_content(reach, ended, position)


def _details(calls: Sequence[Call]) -> dict[str, Any]:
    return {"type": StepType.TOOL_CALLS.value, "tool_calls": list(calls)}


def _without_output(call: Call) -> dict[str, str]:
    function = call["function"]
    return {"name": function["name"], "arguments": function["arguments"]}


def _last_error(outcome: Outcome) -> str | None:
    return _dumped(outcome.error and dict(zip(("code", "message"), outcome.error, strict=True)))


def _dumped(value: Any) -> str | None:
    return dump_text(value) if value else None


def _sum(run: Run, usage: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Add the tokens of a call to those of the earlier calls."""
    return run.usage if usage is None else _added(run.usage, usage)


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _added(value, other[key]) if isinstance(value, dict) else value + other[key] for key, value in one.items()
    }
