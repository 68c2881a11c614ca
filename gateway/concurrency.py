"""What a thousand idle followers wait with: asyncio's own event takes 0.8 KB and its queue 3 KB, for their deques.

Must not be here: who waits for what.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Event:
    """What is waited for until it is set, as with asyncio's."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self, *, is_set: bool = False) -> None:
        self._is_set = is_set
        self._waiting: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Say whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Let all go on who wait."""
        self._is_set = True
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    def clear(self) -> None:
        """Let who comes now wait again."""
        self._is_set = False

    async def wait(self) -> None:
        """Wait until it is set, unless it is already."""
        if self._is_set:
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting = (*self._waiting, waiting)
        try:
            await waiting
        finally:
            self._waiting = tuple(each for each in self._waiting if each is not waiting)


class Among(Generic[T]):
    """Lets something be among others for as long as a block, in a third of the memory that a generator would take."""

    __slots__ = ("_it", "_others")

    def __init__(self, others: set[T], it: T) -> None:
        self._others = others
        self._it = it

    def __enter__(self) -> None:
        self._others.add(self._it)

    def __exit__(self, *_error: object) -> None:
        self._others.discard(self._it)


class Inbox(Generic[T]):
    """What has come for one who takes it, one after the other."""

    __slots__ = ("_arrived", "_items")

    def __init__(self) -> None:
        self._items: tuple[T, ...] = ()  # mostly one, since no more is read meanwhile
        self._arrived = Event()

    def empty(self) -> bool:
        """Say whether nothing is there."""
        return not self._items

    def put_nowait(self, item: T) -> None:
        """Add what has come."""
        self._items = (*self._items, item)
        self._arrived.set()

    async def get(self) -> T:
        """Take the first, and wait for it if there is none."""
        while not self._items:
            self._arrived.clear()
            await self._arrived.wait()
        first, *rest = self._items
        self._items = tuple(rest)
        return first
