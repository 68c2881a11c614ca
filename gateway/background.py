"""Tasks that run for as long as the server does: one that fails or ends is logged, counted and started again.

Must not be here: what the tasks do, and where their state is shown.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from gateway.observability.metrics import Reading

log: Final = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 0.1  # doubled up to the maximum while the task keeps failing
LONGEST_WAIT_S: Final = 2.0
STEADY_S: Final = 1.0  # a task that has run for so long begins with the first wait again
END_S: Final = 1.0  # time for all tasks to end once they are cancelled; they run beside requests, which have ended
_EXPECTED: Final = (OSError, GatewayError)  # faults of networks and databases, whose traceback is of no use


def _always() -> bool:
    return True


class BackgroundTask:
    """A coroutine function that runs until the server ends, and how often it was started again.

    `is_up` says whether it does its work while it runs, such as being connected.
    """

    def __init__(
        self, name: str, run: Callable[[], Coroutine[Any, Any, None]], is_up: Callable[[], bool] = _always
    ) -> None:
        self.name = name
        self.restarts = 0
        self._run = run
        self._is_up = is_up
        self._is_running = False

    @property
    def works(self) -> bool:
        """Whether the task does its work now."""
        return self._is_running and self._is_up()

    async def keep_running(self) -> None:
        """Run until cancelled, with longer and longer waits between runs that are short."""
        clock, wait_s = asyncio.get_running_loop().time, FIRST_WAIT_S
        while True:
            started = clock()
            await self._run_once()
            if _is_cancelled():
                return  # it failed while it ended
            if clock() - started >= STEADY_S:
                wait_s = FIRST_WAIT_S
            log.info("background task %s starts again in %.1f s", self.name, wait_s)
            await asyncio.sleep(wait_s)
            self.restarts += 1
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _run_once(self) -> None:
        self._is_running = True
        try:
            await self._run()
            log.error("background task %s ended by itself", self.name)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            log.exception("background task %s was cancelled by something within it", self.name)
        except Exception as error:
            has_traceback = not isinstance(error, _EXPECTED)
            log.error("background task %s failed: %s", self.name, _reason(error), exc_info=has_traceback)  # noqa: TRY400
        finally:
            self._is_running = False


class BackgroundTasks:
    """The background tasks of one process."""

    def __init__(self, tasks: Iterable[BackgroundTask]) -> None:
        self._tasks = tuple(tasks)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run all tasks for the duration of the block."""
        running = [asyncio.create_task(each.keep_running(), name=each.name) for each in self._tasks]
        try:
            yield
        finally:
            for each in running:
                each.cancel()
            if running:
                await asyncio.wait(running, timeout=END_S)

    def working(self) -> dict[str, bool]:
        """Return for each task whether it does its work now."""
        return {each.name: each.works for each in self._tasks}

    def readings(self) -> list[Reading]:
        """List the metrics, which are read at each scrape."""
        from gateway.observability.metrics import Reading  # noqa: PLC0415  (without metrics it is not loaded)

        return [
            Reading("gateway_background_tasks", "Background tasks: 1 if it works, 0 if not", self.working, "task"),
            Reading(
                "gateway_background_restarts",
                "How often a background task was started again after it had failed or ended",
                lambda: {each.name: each.restarts for each in self._tasks},
                "task",
                is_counter=True,
            ),
        ]


def _is_cancelled() -> bool:
    """Return whether the current task is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _reason(error: Exception) -> str:
    """Return the first line of an error; the others can contain data."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]
