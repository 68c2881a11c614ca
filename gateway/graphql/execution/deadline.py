"""The deadline of operations: whatever runs longer is cancelled where it waits.

Must not be here: what an operation is answered that was cancelled (`runner`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType


class Deadlines:
    """Ends what takes too long. All have the same time, so whoever began first is the next to be late.

    One timer for all of them, since one for each costs as much as a look-up in the database.
    """

    def __init__(self) -> None:
        self.running: dict[Deadline, None] = {}  # in the order in which they began; the timer finds out who has ended
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, until: float) -> Deadline:
        """Make the deadline of a block, which raises TimeoutError when it comes; it is given by the loop's clock."""
        deadline = Deadline(self.running, until)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(until, self._look)
        return deadline

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self.running:
            first = next(iter(self.running))
            if first.until > loop.time():
                self._timer = loop.call_at(first.until, self._look)
                return
            del self.running[first]
            first.cancel()


class Deadline:
    """One block, as `asyncio.timeout` would end it."""

    __slots__ = ("_cancelling", "_is_late", "_running", "_task", "until")
    _task: asyncio.Task[Any]

    def __init__(self, running: dict[Deadline, None], until: float) -> None:
        self._running = running
        self.until = until
        self._is_late = False

    def cancel(self) -> None:
        """Cancel what runs within the block."""
        self._is_late = True
        self._task.cancel()

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (only coroutines have deadlines)
        self._task, self._cancelling = task, task.cancelling()
        self._running[self] = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._running.pop(self, None)
        # Who was also cancelled by somebody else ends by that.
        if self._is_late and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
