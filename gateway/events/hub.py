"""The listeners of one process: how they are woken, and how they are disconnected before the process ends.

A hint only says that a thread has changed: a listener that gets ten while it is busy
reads once more, so nothing queues.
Must not be here: where hints from other processes come from (`postgres`, `polling`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.concurrency import Event, Registration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from gateway.domain.change import Topic


class Hub:
    """The listeners of one process."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, set[Event]] = {}
        self._connections: set[Callable[[], None]] = set()
        self.is_ending = False

    def listen(self, topic: Topic) -> AbstractContextManager[Event]:
        """Listen to a topic for the duration of the block: each hint sets the event, and the listener clears it."""
        return _Listening(self._listeners, topic)

    def wake(self, topics: Iterable[Topic]) -> None:
        """Wake the listeners of some topics."""
        for topic in topics:
            for hint in self._listeners.get(topic, ()):
                hint.set()

    def wake_all(self) -> None:
        """Wake all listeners, where hints may have been lost."""
        self.wake(list(self._listeners))

    def topics(self) -> list[Topic]:
        """Return the topics that have listeners."""
        return list(self._listeners)

    def followers(self) -> Mapping[str, int]:
        """Count connections, the subscriptions on them, and the threads of those."""
        subscriptions = sum(len(each) for each in list(self._listeners.values()))
        return {
            "connections": len(self._connections),
            "subscriptions": subscriptions,
            "threads": len(self._listeners),
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


class _Listening:
    """A listener for the duration of a block, in a third of the memory that a generator would take."""

    __slots__ = ("_all", "_hint", "_topic")

    def __init__(self, listeners: dict[Topic, set[Event]], topic: Topic) -> None:
        self._all = listeners
        self._topic = topic
        self._hint = Event()

    def __enter__(self) -> Event:
        self._all.setdefault(self._topic, set()).add(self._hint)
        return self._hint

    def __exit__(self, *_error: object) -> None:
        remaining = self._all[self._topic]
        remaining.discard(self._hint)
        if not remaining:
            del self._all[self._topic]
