"""Deadlines of requests, operations and messages: what takes longer is cancelled while it awaits.

So is what no client waits for any more.
Must not be here: the error of what was cancelled (the faces).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from types import TracebackType


class Deadlines:
    """The running deadlines. All have the same duration, so the oldest expires first.

    They share one timer, since a timer for each costs as much as a database look-up.
    """

    def __init__(self) -> None:
        self.running: dict[asyncio.Task[Any], Deadline] = {}  # in the order of their start
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, until: float) -> Deadline:
        """Start a deadline for a block, which raises TimeoutError when it expires; `until` is a time of the loop."""
        self.arm(until)
        return Deadline(self, until)

    def arm(self, until: float) -> None:
        """Start the timer if necessary; it runs until the oldest deadline, if there is one."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(until, self._expire)

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Cancel the block of a task, if it is in one, since its client is gone; the block raises ClientDisconnect."""
        left = self.running.pop(task, None)
        if left is not None:
            left.cancel(ClientDisconnect)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self.running:
            task, first = next(iter(self.running.items()))
            if first.until > loop.time():
                self._timer = loop.call_at(first.until, self._expire)
                return
            del self.running[task]
            first.cancel(TimeoutError)


class Deadline:
    """One block, with the behaviour of `asyncio.timeout`."""

    __slots__ = ("_all", "_cancelled", "_cancelling", "_task", "until")
    _task: asyncio.Task[Any]

    def __init__(self, all_of_them: Deadlines, until: float) -> None:
        self._all = all_of_them
        self.until = until
        self._cancelled: type[Exception] | None = None

    def cancel(self, error: type[Exception]) -> None:
        """Cancel the task within the block, which raises an error of a class then."""
        self._cancelled = error
        self._task.cancel()

    def pause(self) -> None:
        """Stop during a step that has its own deadline."""
        self._all.running.pop(self._task, None)

    def resume(self, until: float) -> None:
        """Continue until another time, which is as far from now as any deadline is from its beginning."""
        self.until = until
        self._all.running[self._task] = self
        self._all.arm(until)

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (only coroutines have deadlines)
        self._task, self._cancelling = task, task.cancelling()
        self._all.running[self._task] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._all.running.pop(self._task, None)
        # Another cancellation of the task takes precedence.
        why = self._cancelled
        if why is not None and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise why from error
