"""Whatever happens to a run, in any order: its status follows the table, and the lock ends with it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import run_leases, run_progress, runs
from gateway.core.run_progress import Outcome, RunLost
from gateway.domain.principal import Reach
from gateway.domain.run import FOLLOWERS, OpenRun, RunStatus, StepStatus, ToolOutputs
from gateway.domain.run_events import RunView, Seen, events_between
from gateway.errors import InvalidRequest
from tests.effort import times
from tests.runs.test_worker import NEW, make_run, settle

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.principal import Principal
    from gateway.domain.run import Run

CALL: Final = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}", "output": None}}
OUTCOMES: Final = {
    "complete": Outcome(RunStatus.COMPLETED),
    "fail": Outcome(RunStatus.FAILED, ("server_error", "x")),
    "cut": Outcome(RunStatus.INCOMPLETE, reason="max_completion_tokens"),
    "expire": Outcome(RunStatus.EXPIRED),
}
WORDS: Final = ("begin", "write", "call", "cancel", "submit", "crash", "lease", "cancelled", *OUTCOMES)


async def act(store: Store, who: Principal, run: Run, word: str) -> None:
    """Do what a worker, a client or time does to a run; all of it may be refused."""
    open_run = OpenRun("default", await runs.get(store, who, None, run.id))  # whoever has its lease
    actions: dict[str, Any] = {
        "begin": lambda: run_progress.begin(store, open_run),
        "write": lambda: run_progress.begin_message(store, open_run, "text"),
        "call": lambda: _call(store, open_run),
        "cancel": lambda: runs.cancel(store, who, None, run.id),
        "submit": lambda: runs.submit_tool_outputs(store, who, None, run.id, ToolOutputs((("call_a", "ok"),))),
        "crash": lambda: run_leases.release(store, open_run),
        "lease": lambda: run_leases.lease(store, ("default", run.id), "w"),
        "cancelled": lambda: run_progress.end(store, who.reach, run.id, Outcome(RunStatus.CANCELLED)),
        **{name: _ending(store, who, run, outcome) for name, outcome in OUTCOMES.items()},
    }
    with suppress(RunLost, InvalidRequest):
        await actions[word]()


def _ending(store: Store, who: Principal, run: Run, outcome: Outcome) -> Any:
    return lambda: run_progress.end(store, who.reach, run.id, outcome)


async def _call(store: Store, open_run: OpenRun) -> None:
    step = await run_progress.begin_calls(store, open_run, [CALL])
    await run_progress.require_action(store, open_run, step.id, [CALL], None)


async def check(store: Store, before: Run, after: Run) -> None:
    """Hold a run against the table, its lock and its parts."""
    if after.status is not before.status:
        assert after.status in FOLLOWERS[before.status], (before.status, after.status)
    async with store.read() as reads:
        steps = await reads.steps_of(Reach("default"), after.id)
        wanted = [each.message_id for each in steps if each.message_id]
        found = await reads.get_messages(Reach("default"), wanted) if wanted else {}
    is_open = [step.status is StepStatus.IN_PROGRESS for step in steps]
    assert not (after.has_ended and any(is_open))
    assert all(message.status_value != "in_progress" for message in found.values()) or not after.has_ended


@settings(max_examples=times(fast=15, slow=300), deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), max_size=12), seen_at=st.sets(st.integers(0, 12)))
async def test_a_run_keeps_to_the_table_and_frees_its_thread(
    store: Store, who: Principal, words: list[str], seen_at: set[int]
) -> None:
    run = await make_run(store)
    seen, streamed = Seen(), list[str]()
    for n, word in enumerate(words):
        before = await runs.get(store, who, None, run.id)
        await act(store, who, run, word)
        after = await runs.get(store, who, None, run.id)
        await check(store, before, after)
        if n in seen_at:
            streamed += await _look(store, who, run, seen)
    await act(store, who, run, "expire")
    streamed += await _look(store, who, run, seen)
    last = await runs.get(store, who, None, run.id)

    assert last.has_ended
    assert streamed[-1] == f"thread.run.{last.status_value}"
    assert streamed[:2] == ["thread.run.created", "thread.run.queued"]
    assert streamed.count("thread.run.step.created") == len(seen.steps)
    assert all(not step.is_open for step in seen.steps.values())
    again = await runs.create(store, who, run.thread_id, NEW, settle)
    assert again.status is RunStatus.QUEUED


async def _look(store: Store, who: Principal, run: Run, seen: Seen) -> list[str]:
    view = await runs.view(store, who, run, seen)
    assert isinstance(view, RunView)
    return [event.name for event in events_between(seen, view)]
