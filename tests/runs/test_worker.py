"""Workers: what one leaves another goes on with or ends, and each project has its turn."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import run_leases, run_progress, runs
from gateway.core import threads as threads_
from gateway.domain import parse, parse_run
from gateway.domain.principal import Principal, Reach
from gateway.domain.run import SETTINGS, RunStatus, ToolOutputs
from gateway.errors import Unavailable
from gateway.runs import worker as worker_
from gateway.runs.models.interface import TextDelta, ToolCallDelta
from gateway.runs.service import _DEFAULTS
from gateway.runs.worker import Worker
from tests.pace import patience
from tests.runs.scripted import STOP, Scripted, calls, says

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.domain.run import Run, RunStep
    from gateway.runs.models.interface import Models

NEW = parse_run.new_run({"assistant_id": "asst_a"})


async def settle() -> dict[str, Any]:
    """Give the settings of a run."""
    return {name: _DEFAULTS[name] for name in SETTINGS} | {"model": "m"}


async def make_run(store: Store, project: str = "default") -> Run:
    """Create a run of a new thread that has one message."""
    who = Principal(Reach(project))
    thread = await threads_.create(store, who, parse.new_thread({"messages": [{"role": "user", "content": "hi"}]}))
    return await runs.create(store, who, thread.id, NEW, settle)


async def now(store: Store, run: Run, project: str = "default") -> Run:
    found = await runs.find(store, Principal(Reach(project)), run.id)
    assert found is not None
    return found


async def until(store: Store, run: Run, *statuses: RunStatus, project: str = "default") -> Run:
    async with asyncio.timeout(patience(20)):
        while (found := await now(store, run, project)).status not in statuses:  # noqa: ASYNC110  (it waits for the database)
            await asyncio.sleep(0.01)
    return found


async def steps_of(store: Store, who: Principal, run: Run) -> tuple[RunStep, ...]:
    return (await runs.steps_of_each(store, who, [run.id]))[run.id]


async def until_written(store: Store, who: Principal, run: Run) -> None:
    async with asyncio.timeout(patience(20)):
        while not await steps_of(store, who, run):  # noqa: ASYNC110  (it waits for the database)
            await asyncio.sleep(0.01)


async def free(_payer: str, _tokens: int) -> None:
    """Charge nothing."""


def a_worker(store: Store, models: Models, **more: Any) -> Worker:
    return Worker(store, models, spend=free, **more)


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[Worker]:
    """Let a worker work; at the end it is killed, as by SIGKILL: it writes nothing more."""
    tasks = [asyncio.ensure_future(worker.run()), asyncio.ensure_future(worker.renew())]
    try:
        yield worker
    finally:
        for each in [*tasks, *worker._tasks.values()]:  # noqa: SLF001
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each


async def kill_leases(store: Store) -> None:
    """Let the leases of all workers end now."""
    await store.write(lambda writes: writes._connection.execute("UPDATE runs SET due_at = 1 WHERE due_at > 1"))  # noqa: SLF001


async def test_what_nothing_was_written_of_is_taken_over(store: Store) -> None:
    run = await make_run(store)
    async with working(a_worker(store, Scripted([[asyncio.Event()]]))):
        begun = await until(store, run, RunStatus.IN_PROGRESS)
    await kill_leases(store)
    await store.write(lambda writes: writes.set_run(Reach("default"), run.id, {"started_at": 1}))

    async with working(a_worker(store, Scripted())):
        completed = await until(store, run, RunStatus.COMPLETED)
    assert (completed.started_at or 0) >= (begun.started_at or 0)


async def test_what_a_dead_worker_has_begun_expires(store: Store, who: Principal) -> None:
    run = await make_run(store)
    async with working(a_worker(store, Scripted([[TextDelta("Half"), asyncio.Event()]]))):
        await until_written(store, who, run)
    await kill_leases(store)

    async with working(a_worker(store, Scripted())):
        expired = await until(store, run, RunStatus.EXPIRED)

    assert expired.last_error is not None
    [step] = await steps_of(store, who, run)
    async with store.read() as reads:
        message = (await reads.get_messages(who.reach, [step.message_id or ""]))[step.message_id or ""]
    assert (message.status_value, message.reason_value, message.text) == ("incomplete", "run_expired", "Half")
    await make_run(store)


@pytest.mark.parametrize("said", [[TextDelta("Late"), STOP], [ToolCallDelta(0, "call_a", "f", "{}"), STOP], [STOP]])
async def test_a_worker_that_stood_still_writes_nothing_into_what_another_goes_on_with(
    store: Store, who: Principal, said: list[Any]
) -> None:
    run, waits, begun = await make_run(store), asyncio.Event(), asyncio.Event()
    late = a_worker(store, Scripted([[waits, *said]]))
    async with working(late):
        await until(store, run, RunStatus.IN_PROGRESS)
        late._tasks, held = {}, late._tasks  # noqa: SLF001  (it renews no lease)
        await kill_leases(store)
        async with working(a_worker(store, Scripted([[TextDelta("Half"), begun, TextDelta(" and half"), STOP]]))):
            late._at_once = 0  # noqa: SLF001
            await until_written(store, who, run)
            waits.set()
            late._tasks = held  # noqa: SLF001
            await asyncio.wait([*held.values()])
            begun.set()
            await until(store, run, RunStatus.COMPLETED)

    [step] = await steps_of(store, who, run)
    async with store.read() as reads:
        [message] = (await reads.get_messages(who.reach, [step.message_id or ""])).values()
    assert (message.status_value, message.text) == ("completed", "Half and half")


async def test_a_worker_that_stops_lets_its_runs_end(store: Store) -> None:
    run, waits = await make_run(store), asyncio.Event()
    worker = a_worker(store, Scripted([[waits, *says("Bye")]]))
    async with working(worker):
        await until(store, run, RunStatus.IN_PROGRESS)
        closing = asyncio.ensure_future(worker.close(20))
        await asyncio.sleep(0)
        waits.set()
        await closing

    assert (await now(store, run)).status is RunStatus.COMPLETED


async def test_a_worker_that_has_no_time_left_hands_over(store: Store) -> None:
    run, begun = await make_run(store), await make_run(store)
    models = Scripted([[asyncio.Event()], [TextDelta("x"), asyncio.Event(), STOP]])
    worker = a_worker(store, models, at_once=2)
    async with working(worker):
        await until(store, run, RunStatus.IN_PROGRESS)
        await until(store, begun, RunStatus.IN_PROGRESS)
        who = Principal(Reach("default"))
        async with asyncio.timeout(patience(20)):
            while not (await steps_of(store, who, run) or await steps_of(store, who, begun)):  # noqa: ASYNC110  (it waits for the database)
                await asyncio.sleep(0.01)
        await worker.close(0)

    found = {(await now(store, each)).status for each in (run, begun)}
    assert found == {RunStatus.EXPIRED, RunStatus.IN_PROGRESS}
    async with working(a_worker(store, Scripted())):
        await until(store, run, RunStatus.COMPLETED, RunStatus.EXPIRED)
        await until(store, begun, RunStatus.COMPLETED, RunStatus.EXPIRED)


async def test_projects_take_turns(store: Store) -> None:
    for project in (*["busy"] * 4, "quiet"):
        await make_run(store, project)

    due = await run_leases.due(store, 3)

    assert [project for project, _ in due] == ["busy", "quiet", "busy"]


async def test_a_lease_is_taken_once(store: Store) -> None:
    run = await make_run(store)
    taken = await asyncio.gather(*(run_leases.lease(store, ("default", run.id), f"w{n}") for n in range(5)))

    assert sum(each is not None for each in taken) == 1


async def test_a_run_past_its_time_expires(store: Store, who: Principal) -> None:
    run = await make_run(store)
    await store.write(lambda writes: writes.set_run(who.reach, run.id, {"expires_at": 1}))

    async with working(a_worker(store, Scripted())):
        await until(store, run, RunStatus.EXPIRED)


@pytest.mark.parametrize("script", [[], [TextDelta("x")], [RuntimeError("a bug")]], ids=["nothing", "no end", "a bug"])
async def test_a_model_that_breaks_its_promise_fails_the_run(store: Store, script: list[Any]) -> None:
    run = await make_run(store)

    class Broken(Scripted):
        async def stream(self, request: Any) -> Any:  # noqa: ARG002  (as the interface has it)
            for each in script:
                if isinstance(each, Exception):
                    raise each
                yield each

    async with working(a_worker(store, Broken())):
        failed = await until(store, run, RunStatus.FAILED)

    assert failed.last_error is not None
    assert failed.last_error["code"] == "server_error"


async def test_more_runs_than_places_wait_for_their_turn(store: Store) -> None:
    made = [await make_run(store, project) for project in (*["busy"] * 4, "quiet")]
    most = 0

    class Counted(Scripted):
        async def stream(self, request: Any) -> Any:
            nonlocal most
            most = max(most, worker.running())
            async for each in super().stream(request):
                yield each

    worker = a_worker(store, Counted(), at_once=2)
    async with working(worker):
        for run, project in zip(made, (*["busy"] * 4, "quiet"), strict=True):
            await until(store, run, RunStatus.COMPLETED, project=project)

    assert most == 2
    assert worker.ended == {"completed": 5}


async def test_a_run_is_taken_up_though_its_task_has_not_ended_yet(
    store: Store, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, waits, require_action = await make_run(store), asyncio.Event(), run_progress.require_action

    async def require_action_and_wait(*arguments: Any) -> None:
        await require_action(*arguments)
        await waits.wait()

    monkeypatch.setattr(run_progress, "require_action", require_action_and_wait)
    models = Scripted([calls(("weather", "{}")), says("Rain.")])
    async with working(a_worker(store, models)) as worker:
        await until(store, run, RunStatus.REQUIRES_ACTION)
        await runs.submit_tool_outputs(store, who, None, run.id, ToolOutputs((("call_0", "rain"),)))
        worker.wake()
        await asyncio.sleep(0)
        waits.set()
        async with asyncio.timeout(patience(5)):
            await until(store, run, RunStatus.COMPLETED)


async def test_a_run_that_another_process_cancels_is_ended_here(
    store: Store, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_, "RENEW_S", 0.01)
    run = await make_run(store)
    async with working(a_worker(store, Scripted([[TextDelta("Half"), asyncio.Event()]]))):
        await until_written(store, who, run)

        await runs.cancel(store, who, None, run.id)

        await until(store, run, RunStatus.CANCELLED)


async def test_a_run_whose_lease_another_process_has_taken_is_left_to_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_, "RENEW_S", 0.01)
    run = await make_run(store)
    async with working(a_worker(store, Scripted([[asyncio.Event()]]))) as worker:
        await until(store, run, RunStatus.IN_PROGRESS)
        await store.write(lambda writes: writes.set_run(Reach("default"), run.id, {"leased_by": "another"}))
        async with asyncio.timeout(patience(20)):
            while worker.running():  # noqa: ASYNC110  (it looks whether it has the lease)
                await asyncio.sleep(0.01)

    assert (await now(store, run)).status is RunStatus.IN_PROGRESS


async def test_who_has_lost_a_lease_does_not_give_it_away(store: Store) -> None:
    run = await make_run(store)
    leased = await run_leases.lease(store, ("default", run.id), "late")
    assert leased is not None
    await kill_leases(store)
    assert await run_leases.lease(store, ("default", run.id), "another") is not None

    await run_leases.release(store, leased[0])

    assert (await now(store, run)).leased_by == "another"
    assert await run_leases.due(store, 1) == []


async def test_the_loss_of_the_database_leaves_a_run_to_its_lease(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begin(*_arguments: object) -> None:
        raise Unavailable("It is away.")

    run = await make_run(store)
    with monkeypatch.context() as patched:
        patched.setattr(run_progress, "begin", begin)
        async with working(a_worker(store, Scripted())) as worker:
            async with asyncio.timeout(patience(20)):
                while (await now(store, run)).leased_by is None or worker.running():  # noqa: ASYNC110  (it waits for the database)
                    await asyncio.sleep(0.01)
    assert (await now(store, run)).status is RunStatus.QUEUED
    await kill_leases(store)

    async with working(a_worker(store, Scripted())):
        await until(store, run, RunStatus.COMPLETED)
