"""The use cases of runs: one function is one use case and one transaction.

A run locks its thread: until it has ended, only the run itself adds messages.
Must not be here: parsing requests, rendering responses, SQL; what the worker of a run changes (`run_progress`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gateway.core import messages, paging, threads
from gateway.core.clock import now_ms
from gateway.core.idempotency import create_once
from gateway.core.read_marks import author_of
from gateway.core.run_progress import unless_overdue
from gateway.domain import metadata
from gateway.domain.idempotency import Kind
from gateway.domain.ids import new_id
from gateway.domain.message import with_created_at
from gateway.domain.principal import Scope
from gateway.domain.run import FOLLOWERS, LASTS_S, Run, RunStatus, StepStatus
from gateway.domain.run_events import RunView, tail_of
from gateway.domain.unset import UNSET
from gateway.domain.wire import dump_text
from gateway.errors import InvalidRequest, NotFound, ThreadLocked
from gateway.observability import audit
from gateway.observability.audit import Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.core import Store
    from gateway.domain.idempotency import Attempt, IdempotencyKey
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import NewMessage
    from gateway.domain.metadata import MetadataPatch
    from gateway.domain.page import Page, PageEnds, PageRequest
    from gateway.domain.principal import Principal
    from gateway.domain.run import NewRun, RunStep, ToolOutputs
    from gateway.domain.run_events import Seen, Tail
    from gateway.domain.thread import Thread
    from gateway.domain.unset import Unset
    from gateway.store.runs import RunReads, RunWrites

    Settle = Callable[[], Awaitable[dict[str, Any]]]

_FILES: Final = (
    "has files, which no run of this server can read: images of a message are given by URL, and there is no "
    "file_search or code_interpreter."
)

_SECOND: Final = "Thread {} already has an active run {}."


async def create(
    store: Store,
    who: Principal,
    thread_id: ThreadId,
    new: NewRun,
    settle: Settle,
    *,
    attempt: Attempt | None = None,
) -> Run:
    """Create a run of a thread, after its additional messages, all or nothing; `settle` returns its settings.

    Errors: Forbidden; NotFound for the thread; ThreadLocked where it has an active run; InvalidRequest where it has
    files; those of an idempotency key.
    """
    if new.additional_messages:
        who.require(Scope.WRITE)
    key = _identify(who, attempt, thread_id, new)
    active_at = now_ms()
    now = active_at // 1_000
    added = [messages.from_new(thread_id, each, now) for each in new.additional_messages]

    async def work(transaction: RunWrites, run: Run) -> Run:
        if added:
            first, second = await transaction.take_positions(who.reach, thread_id, len(added), active_at)
            later = [with_created_at(each, second) for each in added]
            await transaction.add_messages(who.reach, later, first, author_of(who))
        return await _added(transaction, who, run, key)

    async def add() -> Run:
        run = _from_new(who, thread_id, new, await settle(), now)
        if await _has_files(store, who, thread_id, new):
            raise InvalidRequest(f"Thread {thread_id} {_FILES}", code="unsupported")
        created = await unless_overdue(store, who.reach, partial(store.write, partial(work, run=run), thread_id))
        _note(Event.RUN_CREATED, who, created)
        return created

    try:
        return await _once(store, who, attempt, key, add)
    except ThreadLocked as error:
        raise ThreadLocked(thread_id, error.run_id, _SECOND.format(thread_id, error.run_id)) from error


async def _has_files(store: Store, who: Principal, thread_id: ThreadId, new: NewRun) -> bool:
    async with store.read() as reads:
        return any(map(_has_file, new.additional_messages)) or await reads.has_files(who.reach, thread_id)


async def create_with_thread(
    store: Store, who: Principal, new: NewRun, settle: Settle, attempt: Attempt | None = None
) -> tuple[Thread, Run]:
    """Create a thread with its first messages and a run of it, all or nothing.

    Errors: Forbidden; InvalidRequest; those of an idempotency key.
    """
    assert new.thread is not None  # noqa: S101  (parsed with one)
    if any(map(_has_file, new.thread.messages)):
        raise InvalidRequest(f"The thread {_FILES}", param="thread", code="unsupported")
    key = _identify(who, attempt, None, new)
    thread, added = threads.from_new(who, new.thread)

    async def work(transaction: RunWrites, run: Run) -> Run:
        await transaction.add_thread(who.reach, thread, added, author=author_of(who))
        return await _added(transaction, who, run, key)

    async def add() -> Run:
        run = _from_new(who, thread.id, new, await settle(), thread.created_at)
        created = await store.write(partial(work, run=run))
        _note(Event.RUN_CREATED, who, created)
        return created

    created = await _once(store, who, attempt, key, add)
    if created.thread_id == thread.id:
        return thread, created
    return await threads.get(store, who, created.thread_id), created


def _identify(who: Principal, attempt: Attempt | None, thread_id: str | None, new: NewRun) -> IdempotencyKey | None:
    """Identify a key by what is created: whether the run is streamed is not part of it."""
    return None if attempt is None else attempt.identify(who, Kind.RUN, thread_id, replace(new, is_streamed=False))


async def _once(
    store: Store,
    who: Principal,
    attempt: Attempt | None,
    key: IdempotencyKey | None,
    add: Callable[[], Awaitable[Run]],
) -> Run:
    """Create a run, or read the one that was created under the same key."""

    async def read(run_id: str) -> Run:
        async with store.read() as reads:
            return await _found(reads, who, None, run_id)

    return await create_once(store, who, attempt, key, create=add, read=read)


async def get(store: Store, who: Principal, thread_id: ThreadId | None, run_id: str) -> Run:
    """Return a run of a thread, or of any if that is None.

    Errors: NotFound for the thread, then for the run in it.
    """
    who.require(Scope.READ)
    async with store.read() as reads:
        return await _found(reads, who, thread_id, run_id)


async def view(store: Store, who: Principal, known: Run, seen: Seen) -> RunView | None:
    """Return a run as it is now, with the steps and texts that a reader has not seen completely.

    None if it is gone.
    """
    async with store.read() as reads:
        run = await reads.get_run_again(who.reach, known)
        if run is None:
            return None
        steps = await reads.steps_of(who.reach, run.id, seen.passed)
        growing: list[str] = []
        tails: dict[str, Tail | None] = {}
        for step in steps:
            if step.message_id is None or seen.has_finished(step.id):
                continue
            place = seen.place_in(step)
            if place is not None and (added := await reads.deltas_after(who.reach, step.message_id, place.position)):
                tails[step.id] = tail_of(place, added)
            if tails.get(step.id) is None:
                growing.append(step.message_id)
        found = await reads.get_messages(who.reach, growing) if growing else {}
    return RunView(run, steps, found, tails)


async def list_page(store: Store, who: Principal, thread_id: ThreadId, page: PageRequest) -> Page[Run]:
    """Return one page of a thread's runs.

    Errors: NotFound for the thread; InvalidRequest for a cursor that names no run of it.
    """
    who.require(Scope.READ)
    async with store.read() as reads:
        found = await reads.list_runs(who.reach, thread_id, page)
        if not found.items:
            if not await reads.get_threads(who.reach, [thread_id]):
                raise NotFound("thread", thread_id)
            await paging.refuse_unknown_cursors(page, partial(reads.has_run, who.reach, thread_id))
    return found


async def list_pages(
    store: Store, who: Principal, thread_ids: Sequence[str], page: PageRequest
) -> dict[str, Page[Run]]:
    """Return the same page of each of several threads; unknown threads and cursors give empty ones."""
    who.require(Scope.READ)
    async with store.read() as reads:
        return await reads.list_runs_of_each(who.reach, thread_ids, page)


async def page_ends(store: Store, who: Principal, thread_id: ThreadId, page: PageRequest, found: Page[Run]) -> PageEnds:
    """Say whether the list of runs continues before and after a page."""
    who.require(Scope.READ)
    return await paging.page_ends(
        store, page, found, lambda reads, cursor, up: reads.any_run_from(who.reach, thread_id, cursor, up=up)
    )


async def find(store: Store, who: Principal, run_id: str) -> Run | None:
    """Return a run of any thread, if there is one."""
    who.require(Scope.READ)
    async with store.read() as reads:
        return await reads.get_run(who.reach, run_id)


async def steps_of_each(store: Store, who: Principal, run_ids: Sequence[str]) -> dict[str, tuple[RunStep, ...]]:
    """Return the steps of each of several runs, oldest first."""
    who.require(Scope.READ)
    async with store.read() as reads:
        return await reads.steps_of_each(who.reach, run_ids)


async def update(store: Store, who: Principal, thread_id: ThreadId, run_id: str, patch: MetadataPatch | Unset) -> Run:
    """Change the metadata of a run, key by key.

    Errors: NotFound; InvalidRequest where the merge has too many pairs.
    """
    who.require(Scope.READ, Scope.RUNS)

    async def work(transaction: RunWrites) -> Run:
        position = await transaction.next_position(who.reach, thread_id)
        run = await _found(transaction, who, thread_id, run_id)
        if patch is UNSET:
            return run
        changed = dump_text(metadata.merge(run.metadata, patch))
        await transaction.set_run(who.reach, run_id, {"metadata": changed, "changed_position": position})
        return run._replace(metadata_json=changed)

    return await store.write(work, thread_id)


async def cancel(store: Store, who: Principal, thread_id: ThreadId | None, run_id: str) -> Run:
    """Request the cancellation of a run by its worker; what was written of its answer stays.

    Errors: NotFound; InvalidRequest where it has ended or is being cancelled.
    """
    who.require(Scope.READ, Scope.RUNS)

    async def work(transaction: RunWrites) -> Run:
        run, position = await _begin_change(transaction, who, thread_id, run_id)
        if RunStatus.CANCELLING not in FOLLOWERS[run.status]:
            raise InvalidRequest(f"Cannot cancel run with status '{run.status_value}'.")
        change = {"status": RunStatus.CANCELLING.value, "changed_position": position}
        await transaction.set_run(who.reach, run_id, {**change, "required_action": None})
        if run.status is not RunStatus.IN_PROGRESS:  # no worker has its lease
            await transaction.make_due(who.reach, run_id)
        return run._replace(status_value=RunStatus.CANCELLING.value, required_action_json=None)

    cancelled = await store.write(work, run_id)
    _note(Event.RUN_CANCELLED, who, cancelled)
    return cancelled


async def submit_tool_outputs(
    store: Store, who: Principal, thread_id: ThreadId | None, run_id: str, outputs: ToolOutputs
) -> tuple[Run, RunView]:
    """Give a run the outputs of the functions that it waits for; return it, and its state before.

    Errors: NotFound; InvalidRequest where it waits for no outputs, or for other ones.
    """
    who.require(Scope.READ, Scope.RUNS)
    now = int(time.time())

    async def work(transaction: RunWrites) -> tuple[Run, RunView]:
        run, position = await _begin_change(transaction, who, thread_id, run_id)
        if run.status is not RunStatus.REQUIRES_ACTION:
            raise InvalidRequest(f'Runs in status "{run.status_value}" do not accept tool outputs.')
        steps = await transaction.steps_of(who.reach, run_id)
        step = steps[-1]
        wanted, given = [call["id"] for call in step.calls], [call_id for call_id, _ in outputs.given]
        if sorted(wanted) != sorted(given):
            raise InvalidRequest(f"Expected tool outputs for call_ids {wanted}, got {given}")
        by_call = dict(outputs.given)
        calls = [{**call, "function": {**call["function"], "output": by_call[call["id"]]}} for call in step.calls]
        details = dump_text({"type": step.type_value, "tool_calls": calls})
        done = {"status": StepStatus.COMPLETED.value, "completed_at": now, "details": details}
        await transaction.set_step(who.reach, step.id, done)
        change = {"status": RunStatus.QUEUED.value, "required_action": None, "changed_position": position}
        await transaction.set_run(who.reach, run_id, change)
        await transaction.make_due(who.reach, run_id)
        queued = run._replace(status_value=RunStatus.QUEUED.value, required_action_json=None)
        return queued, RunView(run, steps, {})

    return await store.write(work, run_id)


async def list_steps(
    store: Store, who: Principal, thread_id: ThreadId, run_id: str, page: PageRequest
) -> Page[RunStep]:
    """Return one page of a run's steps.

    Errors: NotFound; InvalidRequest for a cursor that names no step of it.
    """
    who.require(Scope.READ)
    async with store.read() as reads:
        await _found(reads, who, thread_id, run_id)
        found = await reads.list_steps(who.reach, run_id, page)
        if not found.items:
            await paging.refuse_unknown_cursors(page, partial(reads.has_step, who.reach, run_id))
    return found


async def get_step(store: Store, who: Principal, thread_id: ThreadId, run_id: str, step_id: str) -> RunStep:
    """Return a step of a run.

    Errors: NotFound.
    """
    who.require(Scope.READ)
    async with store.read() as reads:
        await _found(reads, who, thread_id, run_id)
        for step in await reads.steps_of(who.reach, run_id):
            if step.id == step_id:
                return step
    raise NotFound("run step", step_id)


async def _added(transaction: RunWrites, who: Principal, run: Run, key: IdempotencyKey | None) -> Run:
    position = await transaction.lock_thread(who.reach, run.thread_id, run.id)
    run = run._replace(position=position)
    await transaction.add_run(who.reach, run, key)
    return run


async def _begin_change(
    transaction: RunWrites, who: Principal, thread_id: ThreadId | None, run_id: str
) -> tuple[Run, int]:
    """Lock the thread of a run; return the run as it is then, and the position of the change."""
    run = await _found(transaction, who, thread_id, run_id)
    position = await transaction.next_position(who.reach, run.thread_id)
    return await _found(transaction, who, thread_id, run_id), position


async def _found(reads: RunReads, who: Principal, thread_id: ThreadId | None, run_id: str) -> Run:
    found = await reads.get_run(who.reach, run_id)
    if found is not None and thread_id in (None, found.thread_id):
        return found
    if thread_id is not None and not await reads.get_threads(who.reach, [thread_id]):
        raise NotFound("thread", thread_id)
    raise NotFound("run", run_id)


def _from_new(who: Principal, thread_id: ThreadId, new: NewRun, settings: dict[str, Any], now: int) -> Run:
    return Run(
        id=new_id("run"),
        thread_id=thread_id,
        position=0,
        created_at=now,
        assistant_id=new.assistant_id,
        status_value=RunStatus.QUEUED.value,
        expires_at=now + LASTS_S,
        started_at=None,
        cancelled_at=None,
        failed_at=None,
        completed_at=None,
        required_action_json=None,
        last_error_json=None,
        incomplete_json=None,
        usage_json=None,
        metadata_json=dump_text(new.metadata),
        settings_json=dump_text(settings),
        changed_position=None,
        created_by=who.payer,
    )


def _has_file(message: NewMessage) -> bool:
    return bool(message.attachments) or any(part["type"] == "image_file" for part in message.content)


def _note(event: Event, who: Principal, run: Run) -> None:
    audit.note(event, principal=who.name, project=who.reach.project_id, target=run.id, thread=run.thread_id)
