"""The worker of one process: it leases runs, has them answered, and ends those that no worker answers any more.

A lease ends at a time of the database's clock, and is renewed while the run is answered; so any process takes over what
a dead one has left. A run of which something was written is never answered again, since its message would hold two
answers: it expires. The worker takes turns between projects.
Must not be here: how a run is answered (`answering`), the use cases of clients (`core.runs`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gateway.core import run_leases, run_progress
from gateway.core.run_progress import LeaseLost, Outcome, RunLost
from gateway.domain.run import RunStatus
from gateway.errors import Unavailable
from gateway.runs.answering import Waiting, answer
from gateway.runs.cost import Cost
from gateway.runs.models.interface import FailureCode, ModelFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractContextManager

    from gateway.core import Store
    from gateway.domain.run import OpenRun, Run
    from gateway.runs.models.interface import Models

    Trace = Callable[[str, str], AbstractContextManager[object]]  # of a run and its model

log: Final = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 100  # runs of one process
RENEW_S: Final = 1.0  # also how soon a cancellation by another process is found
POLL_S: Final = 1.0
MANY: Final = 20  # above so many runs at once, each is written less often
WRITE_S: Final = 0.05
WRITE_OF_MANY_S: Final = 0.1
_FAILED: Final = "The server had an error while it answered this run."
_STOPPED: Final = "The server was stopped while it answered this run."
_ENDED_BY_CLIENT: Final = "A client has finished or deleted the message of this run."
_ABANDONED: Final = "The server ended while it answered this run."
# A run that is being cancelled is cancelled by this; one that has ended is not changed.
_LOST: Final = Outcome(RunStatus.FAILED, (FailureCode.SERVER_ERROR.value, _ENDED_BY_CLIENT))


class Worker:
    """Answers runs of all projects, up to `at_once`; `spend` gets the payer and the tokens of each model's call.

    Each answer runs within `trace` of its run and model.
    """

    def __init__(
        self,
        store: Store,
        models: Models,
        *,
        spend: Callable[[str, int], Awaitable[None]],
        at_once: int = MOST_AT_ONCE,
        trace: Trace | None = None,
    ) -> None:
        self._store = store
        self._models = models
        self._at_once = at_once
        self._spend = spend
        self._trace = trace or _no_trace
        self._owner = secrets.token_hex(8)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._why: dict[tuple[str, str], RunStatus | None] = {}  # how a cancelled task ends its run; None: not at all
        self._stopped_at: float | None = None
        self._news = asyncio.Event()
        self.ended: Counter[str] = Counter()  # by status
        self.tokens: Counter[str] = Counter()

    def wake(self) -> None:
        """Look for runs at once."""
        self._news.set()

    def running(self) -> int:
        """Count the runs that are answered now."""
        return len(self._tasks)

    async def run(self) -> None:
        """Lease and answer runs until cancelled."""
        while True:
            self._news.clear()
            if self._stopped_at is None:
                await self._take()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()

    async def renew(self) -> None:
        """Renew the leases of all running answers, and end answers that were cancelled or lost, until cancelled."""
        while True:
            await asyncio.sleep(RENEW_S)
            held = sorted(self._tasks)  # in a fixed order, so that two processes do not deadlock
            statuses = await run_leases.renew(self._store, held, self._owner) if held else []
            for key, status in zip(held, statuses, strict=True):
                if status == RunStatus.CANCELLING.value:
                    self.cancel(*key)
                elif status is None:
                    self._end_task(key, None)

    def cancel(self, project_id: str, run_id: str) -> None:
        """End the answer of a run that is being cancelled, if this worker answers it."""
        self._end_task((project_id, run_id), RunStatus.CANCELLED)

    def stop(self) -> None:
        """Take no more runs, since the process ends."""
        self._stopped_at = self._stopped_at or time.monotonic()

    async def close(self, grace_s: float) -> None:
        """Give running answers the rest of their time since `stop`; then end them."""
        self.stop()
        if self._tasks:
            left_s = grace_s - time.monotonic() + (self._stopped_at or 0.0)
            await asyncio.wait(self._tasks.values(), timeout=max(0.0, left_s))
        left = list(self._tasks.items())
        for key, _ in left:
            self._end_task(key, RunStatus.EXPIRED)
        if left:
            await asyncio.wait([task for _, task in left], timeout=1.0)

    def _end_task(self, key: tuple[str, str], status: RunStatus | None) -> None:
        task = self._tasks.get(key)
        if task is not None and key not in self._why:
            self._why[key] = status
            task.cancel()

    async def _take(self) -> None:
        """Lease runs that are due, in turns between the projects, up to the limit."""
        free = self._at_once - len(self._tasks)
        if free <= 0:
            return
        due = await run_leases.due(self._store, free)
        turns = Counter(project_id for project_id, _ in self._tasks)
        order = []
        for n, (project_id, run_id) in enumerate(due):
            turns[project_id] += 1
            order.append((turns[project_id], n, project_id, run_id))
        for *_, project_id, run_id in sorted(order):
            key = project_id, run_id
            if key in self._tasks:  # it has got its outputs, and the task before is about to end: `_forget` wakes
                continue
            leased = await run_leases.lease(self._store, key, self._owner)
            if leased is not None:
                self._tasks[key] = task = asyncio.create_task(self._look_after(*leased), name=f"run {run_id}")
                task.add_done_callback(partial(self._forget, key))

    def _forget(self, key: tuple[str, str], _task: object) -> None:
        del self._tasks[key]
        self._why.pop(key, None)
        self.wake()

    async def _look_after(self, open_run: OpenRun, is_overdue: bool) -> None:  # noqa: FBT001  (a row's last column)
        """Answer a run and end it; only if the database is lost, its lease runs out."""
        key = open_run.project_id, open_run.run.id
        cost = Cost()
        try:
            outcome = await self._outcome(open_run, cost, is_overdue=is_overdue)
        except Unavailable as error:
            log.warning("run %s is left to its lease: %s", key[1], error)
            outcome = None
        self._why.setdefault(key, None)  # from here on its end is not interrupted, not even by a cancellation
        usage = await self._pay(open_run.run, cost)
        if outcome is not None:
            with suppress(Unavailable, LeaseLost):  # as above, or another worker looks after it
                await self._end(open_run, outcome, usage)

    async def _outcome(self, open_run: OpenRun, cost: Cost, *, is_overdue: bool) -> Outcome | Waiting | None:
        run, key = open_run.run, (open_run.project_id, open_run.run.id)
        if is_overdue or run.status not in (RunStatus.QUEUED, RunStatus.IN_PROGRESS):
            return Outcome(RunStatus.EXPIRED)  # it cancels one that is being cancelled
        try:
            return await self._answered(open_run, cost)
        except asyncio.CancelledError:
            if key not in self._why:
                raise
            return await self._interrupted(open_run, self._why[key])
        except TimeoutError:
            return Outcome(RunStatus.EXPIRED)
        except LeaseLost:
            return None
        except RunLost:
            return _LOST
        except ModelFailed as error:
            return Outcome(RunStatus.FAILED, (error.code.value, error.message))
        except Unavailable:
            raise
        except Exception:
            log.exception("run %s failed", run.id)
            return Outcome(RunStatus.FAILED, (FailureCode.SERVER_ERROR.value, _FAILED))

    async def _answered(self, open_run: OpenRun, cost: Cost) -> Outcome | Waiting:
        run = open_run.run
        if run.status is RunStatus.IN_PROGRESS and await run_leases.has_output(self._store, open_run):
            return _expired(_ABANDONED)
        open_run = open_run._replace(run=await run_progress.begin(self._store, open_run))
        async with asyncio.timeout(max(0.0, run.expires_at - time.time())):
            with self._trace(run.id, run.settings["model"] or ""):
                return await answer(self._store, self._models, open_run, self._interval_s, cost)

    async def _interrupted(self, open_run: OpenRun, status: RunStatus | None) -> Outcome | None:
        """Return how a run ends whose answer was interrupted; None if another worker has the run."""
        if status is None:
            return None
        if status is RunStatus.EXPIRED and not await run_leases.has_output(self._store, open_run):
            await run_leases.release(self._store, open_run)
            return None
        return _expired(_STOPPED) if status is RunStatus.EXPIRED else Outcome(status)

    async def _end(self, open_run: OpenRun, outcome: Outcome | Waiting, usage: Mapping[str, Any] | None) -> None:
        """Write how a run ends or waits, after its last call is charged: a client that sees it finds its budget spent.

        Errors: LeaseLost; Unavailable.
        """
        if isinstance(outcome, Waiting):
            try:
                await run_progress.require_action(self._store, open_run, outcome.step_id, outcome.calls, usage)
            except LeaseLost:
                raise
            except RunLost:
                outcome = _LOST
            else:
                return
        last = replace(outcome, usage=usage)
        ended = await run_progress.end(self._store, open_run.reach, open_run.run.id, last, holder=self._owner)
        if ended is not None:
            self.ended[ended.status_value] += 1

    async def _pay(self, run: Run, cost: Cost) -> Mapping[str, Any] | None:
        """Charge a model's call to the creator of its run, before the run ends, and also if the run was deleted."""
        usage = cost.usage()
        if usage is not None:
            self.tokens.update({"prompt": usage["prompt_tokens"], "completion": usage["completion_tokens"]})
            if run.created_by is not None:
                await self._spend(run.created_by, usage["total_tokens"])
        return usage

    def _interval_s(self) -> float:
        return WRITE_OF_MANY_S if len(self._tasks) > MANY else WRITE_S


def _no_trace(_run_id: str, _model: str) -> AbstractContextManager[None]:
    return nullcontext()


def _expired(reason: str) -> Outcome:
    return Outcome(RunStatus.EXPIRED, (FailureCode.SERVER_ERROR.value, reason))
