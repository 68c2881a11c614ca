from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gateway import background
from gateway.background import BackgroundTask, BackgroundTasks
from gateway.errors import Unavailable
from tests.following import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.0)


async def _end() -> None:
    """End, as a loop does whose condition is no longer true."""


async def _fail() -> None:
    raise ZeroDivisionError("row (1, secret)\nDETAIL: another secret")


async def _be_unavailable() -> None:
    raise Unavailable("The database is away.")


async def _be_cancelled_within() -> None:
    other = asyncio.create_task(asyncio.Event().wait())
    asyncio.get_running_loop().call_soon(other.cancel)
    await other


@pytest.mark.parametrize(
    ("once", "said", "has_traceback"),
    [
        pytest.param(_end, "background task sweeping ended by itself", False, id="ends"),
        pytest.param(_fail, "background task sweeping failed: ZeroDivisionError: row (1, secret)", True, id="fails"),
        pytest.param(
            _be_unavailable, "background task sweeping failed: Unavailable: The database is away.", False, id="expected"
        ),
        pytest.param(
            _be_cancelled_within,
            "background task sweeping was cancelled by something within it",
            True,
            id="cancelled by something within it",
        ),
    ],
)
async def test_a_task_that_ends_is_logged_counted_and_started_again(
    once: Callable[[], Awaitable[None]], said: str, caplog: pytest.LogCaptureFixture, *, has_traceback: bool
) -> None:
    runs_again = asyncio.Event()
    runs = [once]

    async def run() -> None:
        if runs:
            await runs.pop()()
            return
        runs_again.set()
        await asyncio.Event().wait()

    tasks = BackgroundTasks([BackgroundTask("sweeping", run)])
    assert tasks.working() == {"sweeping": False}
    async with tasks.running():
        await asyncio.wait_for(runs_again.wait(), PATIENCE_S)
        assert tasks.working() == {"sweeping": True}
        [working, restarts] = [each.read() for each in tasks.readings()]

    assert (working, restarts) == ({"sweeping": True}, {"sweeping": 1})
    assert tasks.working() == {"sweeping": False}
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.getMessage() == said
    assert bool(record.exc_info) is has_traceback


async def test_a_task_that_runs_without_doing_its_work_is_shown() -> None:
    is_connected: list[bool] = []
    tasks = BackgroundTasks([BackgroundTask("listening", asyncio.Event().wait, lambda: bool(is_connected))])  # type: ignore[arg-type]
    async with tasks.running():
        await asyncio.sleep(0)
        before = tasks.working()
        is_connected.append(True)
        assert (before, tasks.working()) == ({"listening": False}, {"listening": True})


async def test_waits_grow_until_a_run_is_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    lasts = [0.0] * 7 + [background.STEADY_S, 0.0]
    now = 0.0
    loop = asyncio.get_running_loop()

    async def run() -> None:
        nonlocal now
        now += lasts[len(waits)]

    async def sleep(wait_s: float) -> None:
        waits.append(round(wait_s, 3))
        if len(waits) == len(lasts):
            await asyncio.Event().wait()

    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.1)
    task = BackgroundTask("sweeping", run)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: now)
        patch.setattr(asyncio, "sleep", sleep)
        keeping = asyncio.create_task(task.keep_running())
        while len(waits) < len(lasts):
            await _next_turn()
    keeping.cancel()
    await asyncio.wait([keeping])

    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 0.1, 0.2]


async def test_a_task_that_fails_at_the_end_is_not_started_again(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise Unavailable("too late")

    task = BackgroundTask("sweeping", run)
    async with BackgroundTasks([task]).running():
        await asyncio.sleep(0)

    assert task.restarts == 0
    assert [each.getMessage() for each in caplog.records] == ["background task sweeping failed: Unavailable: too late"]


async def test_a_task_that_does_not_end_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "END_S", 0.01)
    is_over = asyncio.Event()

    async def run() -> None:
        while not is_over.is_set():
            try:
                await is_over.wait()
            except asyncio.CancelledError:
                continue

    async with asyncio.timeout(PATIENCE_S), BackgroundTasks([BackgroundTask("sweeping", run)]).running():
        await asyncio.sleep(0)
    is_over.set()


async def _next_turn() -> None:
    turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turn.set_result, None)
    await turn
