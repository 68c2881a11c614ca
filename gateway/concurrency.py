"""Small synchronisation primitives for thousands of idle subscribers: asyncio's event takes 0.8 KB, its queue 3 KB.

Also a waiting line, for resources that each request may wait for.
Must not be here: what an event or an item means.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

K = TypeVar("K")
T = TypeVar("T")

_TURNS = 2  # of the event loop, in which more tasks can join a call of a loader
WOKEN_AT_ONCE = 50  # tasks: subscribers take about 0.1 ms each to send an event


def wake(waiting: list[asyncio.Future[None]]) -> None:
    """Wake tasks, some in each turn of the event loop: thousands in one would hold up all requests for seconds."""
    for each in waiting[:WOKEN_AT_ONCE]:
        if not each.done():
            each.set_result(None)
    if len(waiting) > WOKEN_AT_ONCE:
        asyncio.get_running_loop().call_soon(wake, waiting[WOKEN_AT_ONCE:])


class Event:
    """A flag that tasks can wait for, with the interface of `asyncio.Event`."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self, *, is_set: bool = False) -> None:
        self._is_set = is_set
        self._waiting: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Return whether the flag is set."""
        return self._is_set

    def set(self) -> None:
        """Set the flag and wake every waiting task."""
        self._is_set = True
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    def clear(self) -> None:
        """Reset the flag, so that later calls of `wait` block again."""
        self._is_set = False

    async def wait(self) -> None:
        """Block until the flag is set; return at once if it is."""
        if self._is_set:
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting = (*self._waiting, waiting)
        try:
            await waiting
        finally:
            self._waiting = tuple(each for each in self._waiting if each is not waiting)


class Registration(Generic[T]):
    """Keeps an item in a set for the duration of a block; takes a third of the memory of a generator-based one."""

    __slots__ = ("_item", "_registry")

    def __init__(self, registry: set[T], item: T) -> None:
        self._registry = registry
        self._item = item

    def __enter__(self) -> None:
        self._registry.add(self._item)

    def __exit__(self, *_error: object) -> None:
        self._registry.discard(self._item)


class Inbox(Generic[T]):
    """A queue for one consumer; its producer pauses reading, which bounds it."""

    __slots__ = ("_items", "_waiting")

    def __init__(self) -> None:
        self._items: tuple[T, ...] = ()  # mostly one: reading is paused while an item waits
        self._waiting: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        """Return whether the queue is empty."""
        return not self._items

    def put_nowait(self, item: T) -> None:
        """Append an item."""
        self._items = (*self._items, item)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self) -> T:
        """Remove and return the oldest item; wait for one if the queue is empty."""
        while not self._items:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        first, *rest = self._items
        self._items = tuple(rest)
        return first


class WaitingLine(Generic[T]):
    """A line of tasks, of which the first gets the next value; each waits at most until a time of the loop.

    They share one timer: one for each wait would cost as much as the rest of the wait, and hardly ever fire.
    """

    __slots__ = ("_timer", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, asyncio.Future[T]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def join(self, until: float) -> asyncio.Future[T]:
        """Join the line; the returned future gets the value, or a TimeoutError."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()
        self._waiting.append((until, waiting))
        if self._timer is None or until < self._timer.when():
            self._start_timer(loop, until)
        return waiting

    def give(self, value: T) -> bool:
        """Give a value to the first task; False if none waits."""
        while self._waiting:
            _, waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(value)
                return True
        return False

    def _start_timer(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(at, self._expire)

    def _expire(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        now = loop.time()
        for until, waiting in self._waiting:
            if until <= now and not waiting.done():
                waiting.set_exception(TimeoutError())
        self._waiting = deque(each for each in self._waiting if not each[1].done())
        if self._waiting:
            self._start_timer(loop, min(until for until, _ in self._waiting))


class SharedCalls(Generic[T]):
    """Makes one call for all tasks that ask for the same while it runs; `keeps` so many results for later ones.

    The first task makes the call itself. If it is cancelled, the next one makes the call; other errors go to all.
    """

    __slots__ = ("_calls", "_keeps")

    def __init__(self, *, keeps: int = 0) -> None:
        self._calls: dict[Hashable, _Call[T]] = {}
        self._keeps = keeps

    async def get(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the call with this key: of the one that runs, or of a new one."""
        while (other := self._calls.get(key)) is not None:
            if other.waiting is not None:
                over = asyncio.get_running_loop().create_future()
                other.waiting.append(over)
                await over
            if other.error is not None:
                raise other.error
            if other.results:
                return other.results[0]
        own = self._calls[key] = _Call()
        try:
            own.results = (await call(),)
        except Exception as error:
            own.error = error
            raise
        finally:
            if self._calls.get(key) is own and not (own.results and len(self._calls) <= self._keeps):
                del self._calls[key]
            own.end()
        return own.results[0]

    def clear(self) -> None:
        """Keep later tasks from joining the running calls, and drop the kept results."""
        self._calls.clear()


class _Call(Generic[T]):
    __slots__ = ("error", "results", "waiting")

    def __init__(self) -> None:
        self.results: tuple[T, ...] = ()  # one; none while it runs, and where it failed or was cancelled
        self.error: Exception | None = None
        self.waiting: list[asyncio.Future[None]] | None = []  # None once it is over

    def end(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting:
            wake(waiting)


class Loader(Generic[K, T]):
    """Loads by one call the values that several tasks ask for at about the same time; keeps nothing.

    The call is made within one of these tasks; a task of its own would cost as much as the statement. `alone` is a task
    without concurrent ones, which does not wait for others.
    """

    __slots__ = ("_alone", "_batch", "_load", "_most")

    def __init__(
        self,
        load: Callable[[list[K]], Awaitable[Mapping[K, T]]],
        most: int,
        alone: asyncio.Task[Any] | None = None,
    ) -> None:
        self._load = load
        self._most = most
        self._alone = alone
        self._batch: _Batch[K, T] | None = None

    async def load(self, key: K) -> T | None:
        """Return the value of a key; None if it has none."""
        if asyncio.current_task() is self._alone:
            return (await self._load([key])).get(key)
        batch = self._batch
        if batch is None or len(batch.keys) >= self._most:
            batch = self._batch = _Batch()
        batch.keys[key] = None
        return (await batch.calls.get(None, partial(self._run, batch))).get(key)

    async def _run(self, batch: _Batch[K, T]) -> Mapping[K, T]:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if self._batch is batch:
            self._batch = None
        return await self._load(list(batch.keys))


class _Batch(Generic[K, T]):
    __slots__ = ("calls", "keys")

    def __init__(self) -> None:
        self.keys: dict[K, None] = {}
        self.calls: SharedCalls[Mapping[K, T]] = SharedCalls(keeps=1)
