"""The listeners of one process: how they are woken, and how they are disconnected before the process ends.

A hint only says that a thread has changed, and up to which position: a listener that gets ten hints while it is busy
reads once more, so nothing queues, and a hint of known changes wakes no listener. The listeners of a thread that read
after the same hint share the read. One listens to the list of threads of an owner, or of a whole project.
Must not be here: where hints from other processes come from (`exchange`, `sweep`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from gateway.concurrency import Registration, SharedCalls, wake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import Self

    from gateway.domain.change import Hint, Topic
    from gateway.domain.snapshot import Snapshot

ListTopic = tuple[str, str | None]  # project and owner; None for the threads of all
KEPT_READS: Final = 4  # of a thread, for listeners that are still busy with what came before


class Hub:
    """The listeners of one process."""

    def __init__(self) -> None:
        self._audiences: dict[Topic, Audience] = {}
        self._lists: dict[ListTopic, ListAudience] = {}
        self._connections: set[Callable[[], object]] = set()
        self.is_ending = False
        self.epoch: str | None = None  # of the database, where it is known

    def listen(self, topic: Topic, position: int = 0) -> Audience:
        """Listen to the changes of a topic after a position, for the duration of the block."""
        return self._audiences.get(topic) or Audience(self._audiences, topic, position)

    def listen_to_list(self, topic: ListTopic) -> ListAudience:
        """Listen to a list of threads for the duration of the block."""
        return self._lists.get(topic) or ListAudience(self._lists, topic)

    def wake(self, hints: Iterable[Hint]) -> None:
        """Wake the listeners of changed threads, unless they know the change, and of lists with these threads."""
        for project_id, thread_id, owner, position, only_text in hints:
            if audience := self._audiences.get((project_id, thread_id)):
                audience.wake(position)
            if self._lists and not only_text:
                is_known = position is not None  # then so is the owner
                for each in self._lists_of(project_id, owner) if is_known else self._lists_of_project(project_id):
                    each.wake(None)

    def wake_lists(self, found: Iterable[tuple[str, str | None, int | None]]) -> None:
        """Wake the listeners of lists, unless they know the change; without a number, it may be of any owner."""
        for project_id, owner, number in found:
            if number is None:
                for each in self._lists_of_project(project_id):
                    each.wake(None)
            else:
                for each in self._lists_of(project_id, owner):
                    each.find(number)

    def _lists_of(self, project_id: str, owner: str | None) -> Iterator[ListAudience]:
        for of in {None, owner}:
            if audience := self._lists.get((project_id, of)):
                yield audience

    def _lists_of_project(self, project_id: str) -> list[ListAudience]:
        return [audience for topic, audience in self._lists.items() if topic[0] == project_id]

    def wake_all(self) -> None:
        """Wake all listeners."""
        for audience in [*self._audiences.values(), *self._lists.values()]:
            audience.wake(None)

    def compare(self, positions: Mapping[Topic, int | None]) -> None:
        """Wake the listeners of threads whose last position differs from what they know; None stands for no thread."""
        for topic, position in positions.items():
            if audience := self._audiences.get(topic):
                audience.compare(position)

    def change_epoch(self, epoch: str) -> None:
        """Note the epoch of the database, and wake all listeners if it is another than before."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.wake_all()

    def topics(self) -> list[Topic]:
        """Return the topics that have listeners."""
        return list(self._audiences)

    def listed_projects(self) -> list[str]:
        """Return the projects whose lists of threads have listeners."""
        return list({project_id for project_id, _ in self._lists})

    @property
    def has_listeners(self) -> bool:
        """Whether there are listeners."""
        return bool(self._audiences or self._lists)

    def followers(self) -> Mapping[str, int]:
        """Count connections, the subscriptions on them, and the threads of those."""
        subscriptions = sum(each.size for each in [*self._audiences.values(), *self._lists.values()])
        return {
            "connections": len(self._connections),
            "subscriptions": subscriptions,
            "threads": len(self._audiences),
            "lists": len(self._lists),
        }

    def on_shutdown(self, close: Callable[[], object]) -> AbstractContextManager[None]:
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
    """The listeners of one topic, each for the duration of a block.

    `hints` counts the hints that have woken them, and `_position` is the last known one, None where the thread was not
    found. `reads` are the shared reads since the last hint, by their range: after a hint no listener joins them, since
    they may miss its change. They are kept for later listeners, until all wait.
    """

    __slots__ = ("_all", "_last_unknown", "_position", "_topic", "_waiting", "hints", "reads", "size")

    def __init__(self, audiences: dict[Any, Any], topic: Any, position: int) -> None:
        self._all = audiences
        self._topic = topic
        self._position: int | None = position
        self._waiting: set[asyncio.Future[None]] = set()
        self.hints = self.size = 0
        self._last_unknown = 0  # the last hint that did not say up to which position
        self.reads: SharedCalls[Any] = SharedCalls(keeps=KEPT_READS)

    def __enter__(self) -> Self:
        self._all[self._topic] = self
        self.size += 1
        return self

    def __exit__(self, *_error: object) -> None:
        self.size -= 1
        self._keep_nothing_for_nobody()
        if not self.size:
            del self._all[self._topic]

    def wake(self, position: int | None) -> None:
        """Wake all listeners for changes up to a position; where it is not known, they read to find out."""
        if position is None:
            self._last_unknown = self.hints + 1
        elif self._position is not None and position <= self._position:
            return
        else:
            self._position = position
        self.hints += 1
        self.reads.clear()
        waiting, self._waiting = self._waiting, set()
        wake(list(waiting))

    def compare(self, position: int | None) -> None:
        """Wake all listeners if the last position differs from what they know; None stands for no thread."""
        if position != self._position:
            self._position = position
            self.wake(None)

    async def wait(self, hints: int, position: int = -1) -> None:
        """Wait until there are more than `hints` hints, and changes after a position."""
        while not self._has_news(hints, position):
            hint = asyncio.get_running_loop().create_future()
            self._waiting.add(hint)
            self._keep_nothing_for_nobody()
            try:
                await hint
            finally:
                self._waiting.discard(hint)

    def _has_news(self, hints: int, position: int) -> bool:
        is_news = self._position is None or self._position > position
        return self._last_unknown > hints or (self.hints > hints and is_news)

    def _keep_nothing_for_nobody(self) -> None:
        if len(self._waiting) == self.size:
            self.reads.clear()


class ListAudience(Audience):
    """The listeners of one list of threads.

    `seen` is the snapshot of the last listener that read to the end: others that reach the end continue from it, so
    that all share their reads again.
    """

    __slots__ = ("_lowest", "seen")

    def __init__(self, audiences: dict[ListTopic, ListAudience], topic: ListTopic) -> None:
        super().__init__(audiences, topic, 0)
        self._lowest = 0  # number that one of those that wait has not seen
        self.seen: Snapshot | None = None

    def find(self, number: int) -> None:
        """Wake all listeners for a change that was found without a hint, unless all have seen it."""
        if len(self._waiting) < self.size or number >= self._lowest:
            self.wake(None)

    def meet(self, before: Snapshot, seen: Snapshot) -> Snapshot:
        """Return where a listener that has read to the end continues: with the others, if it misses nothing."""
        if self.seen is None or before.sees_all_of(self.seen) or not seen.sees_all_of(self.seen):
            self.seen = seen
        return self.seen

    async def wait_from(self, hints: int, lowest: int) -> None:
        """Wait until there are more than `hints` hints; all changes below the lowest number have been seen."""
        self._lowest = min(lowest, self._lowest) if self._waiting else lowest
        await self.wait(hints)
