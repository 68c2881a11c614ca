"""The listeners of one process: how they are woken, and how they are disconnected before the process ends.

A hint only says that a thread has changed: a listener that gets ten while it is busy
reads once more, so nothing queues. The listeners of a thread that read it at the same time share one read.
Must not be here: where hints from other processes come from (`postgres`, `polling`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.concurrency import Registration, SharedCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from typing import Self

    from gateway.domain.change import Topic


class Hub:
    """The listeners of one process."""

    def __init__(self) -> None:
        self._audiences: dict[Topic, Audience] = {}
        self._connections: set[Callable[[], None]] = set()
        self.is_ending = False
        self.epoch: str | None = None  # of the database, where it is known

    def listen(self, topic: Topic) -> Audience:
        """Listen to a topic for the duration of the block, among all that do."""
        return self._audiences.get(topic) or Audience(self._audiences, topic)

    def wake(self, topics: Iterable[Topic]) -> None:
        """Wake the listeners of some topics."""
        for topic in topics:
            if audience := self._audiences.get(topic):
                audience.wake()

    def wake_all(self) -> None:
        """Wake all listeners, where hints may have been lost."""
        self.wake(list(self._audiences))

    def change_epoch(self, epoch: str) -> None:
        """Note the epoch of the database, and wake all listeners if it is another than before."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.wake_all()

    def topics(self) -> list[Topic]:
        """Return the topics that have listeners."""
        return list(self._audiences)

    def followers(self) -> Mapping[str, int]:
        """Count connections, the subscriptions on them, and the threads of those."""
        subscriptions = sum(each.size for each in list(self._audiences.values()))
        return {
            "connections": len(self._connections),
            "subscriptions": subscriptions,
            "threads": len(self._audiences),
        }

    def on_shutdown(self, close: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `close` when the process shuts down during the block; at once if it is already shutting down."""
        if self.is_ending:
            close()
        return Registration(self._connections, close)

    def end(self) -> None:
        """Close every registered connection, since the process shuts down; a second call does nothing."""
        if not self.is_ending:
            self.is_ending = True
            for close in list(self._connections):
                close()


class Audience:
    """The listeners of one topic, each for the duration of a block; `hints` counts the hints that have arrived.

    `reads` are those that run now, each by its range. A hint ends the joining of them: they may not see what it is of.
    """

    __slots__ = ("_all", "_topic", "_waiting", "hints", "reads", "size")

    def __init__(self, audiences: dict[Topic, Audience], topic: Topic) -> None:
        self._all = audiences
        self._topic = topic
        self._waiting: set[asyncio.Future[None]] = set()
        self.hints = self.size = 0
        self.reads: SharedCalls[Any] = SharedCalls()

    def __enter__(self) -> Self:
        self._all[self._topic] = self
        self.size += 1
        return self

    def __exit__(self, *_error: object) -> None:
        self.size -= 1
        if not self.size:
            del self._all[self._topic]

    def wake(self) -> None:
        """Count a hint, and wake all listeners that wait for one."""
        self.hints += 1
        self.reads.clear()
        waiting, self._waiting = self._waiting, set()
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def wait(self, hints: int) -> None:
        """Wait until more hints have arrived than so many."""
        if self.hints > hints:
            return
        hint = asyncio.get_running_loop().create_future()
        self._waiting.add(hint)
        try:
            await hint
        finally:
            self._waiting.discard(hint)
