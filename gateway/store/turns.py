"""Turns of writers: of those that wait for the same thread, few hold a connection at once.

The lock of the thread's row admits one of them anyway, and the others would take connections that other threads need.
Must not be here: what is written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from gateway.errors import Unavailable
from gateway.store.engines import base
from gateway.store.engines.errors import is_locked

AT_ONCE: Final = 2  # writers of a thread with a connection: one holds the lock, the next is there when it is released
MAX_WAITING: Final = 100  # writers of a thread that wait for their turn


class Turns:
    """The running and waiting writers of each thread or message, by its id.

    A writer begins or awaits its turn, and ends it, by explicit calls: a context manager costs a hundredth of a write.
    """

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self.waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def begin(self, key: str) -> bool:
        """Take a turn, if one is free; otherwise `wait`."""
        count = self.running.get(key, 0)
        if count >= AT_ONCE:
            return False
        self.running[key] = count + 1
        return True

    async def wait(self, key: str) -> float:
        """Wait for a turn in the order of arrival; return until when its writer may wait for a connection.

        Errors: Unavailable where too many wait, the thread stays locked, or its turn does not come in time.
        """
        waiting = self.waiting.setdefault(key, deque())
        if len(waiting) >= MAX_WAITING:
            raise Unavailable(f"{MAX_WAITING} writes to this thread wait already. Please send the request again.")
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        until = base.wait_until()
        try:
            async with asyncio.timeout_at(until):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.end(key)  # the turn came at the last moment
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    "Other writes to this thread took too long. Please send the request again."
                ) from error
            raise
        return until

    def end(self, key: str) -> None:
        """Pass a turn on."""
        waiting = self.waiting.get(key)
        while waiting:
            turn = waiting.popleft()
            if not waiting:
                del self.waiting[key]
            if not turn.done():
                turn.set_result(None)
                return
        count = self.running.pop(key) - 1
        if count:
            self.running[key] = count

    def fail(self, key: str, error: BaseException) -> None:
        """Fail the waiting writers of a locked thread: they would wait as long in vain."""
        if not isinstance(error, Unavailable) or not is_locked(error):
            return
        for turn in self.waiting.pop(key, ()):
            if not turn.done():
                turn.set_exception(Unavailable(error.message))
