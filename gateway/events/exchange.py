"""Hints between processes: each sends its changes to all others after the commit, many changes at once.

A hint follows the commit, so no hint announces what was rolled back, and no commit waits for a hint. Hints can be lost,
with the connection or with a process that ends between the two; `sweep` finds those changes.
Must not be here: what carries the hints (`postgres`, `redis`), who waits for them (`hub`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from gateway.domain.change import merged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable
    from contextlib import AbstractAsyncContextManager

    from gateway.domain.change import Hint, Topic
    from gateway.events.hub import Hub

    Send = Callable[[Collection[Hint]], Awaitable[None]]
    Receive = Callable[[Iterable[Hint]], None]

COALESCE_S: Final = 0.005  # between two batches, while hints gather
SEND_S: Final = 5.0  # time to send one batch
ALIVE_S: Final = 20.0  # after which an idle connection is tried
MAX_PENDING: Final = 10_000  # threads whose hints wait to be sent; changes of further threads are left to the sweep


class Carrier(Protocol):
    """Connects this process to all others, for the duration of a block that gets a function to send with.

    What any of them sends, this one included, is passed to `receive`; `on_lost` is called when the connection is lost.
    Errors: ConnectionError, there and from sending.
    """

    def __call__(self, receive: Receive, on_lost: Callable[[], None]) -> AbstractAsyncContextManager[Send]:
        """Connect."""


class Exchange:
    """The hints that this process sends and receives."""

    def __init__(self, hub: Hub, carrier: Carrier) -> None:
        self._hub = hub
        self._carrier = carrier
        self._pending: dict[Topic, Hint] = {}
        self._has_news = asyncio.Event()
        self._is_lost = False
        self._received = 0  # payloads
        self._sending_since: float | None = None
        self.is_listening = False

    def publish(self, hints: Collection[Hint]) -> None:
        """Wake the listeners of this process, and those of others soon."""
        self._hub.wake(hints)
        gather(self._pending, hints)
        self._has_news.set()

    async def run(self) -> None:
        """Send and receive hints over one connection, until that is lost.

        Errors: ConnectionError.
        """
        self._is_lost, self._sending_since = False, None
        async with self._carrier(self._receive, self._on_lost) as send:
            self.is_listening = True
            tasks = [asyncio.create_task(each) for each in (self._send(send), self._watch())]
            try:
                await asyncio.gather(*tasks)
            finally:
                self.is_listening = False
                for each in tasks:
                    each.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        """Send what is pending, also if that is nothing: `_watch` requires that something arrives."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._has_news.wait()
            if self._is_lost:
                raise ConnectionError("the connection was lost")
            self._has_news.clear()
            pending, self._pending = self._pending, {}
            self._sending_since = clock()
            await send(pending.values())
            self._sending_since = None
            await asyncio.sleep(COALESCE_S)

    async def _watch(self) -> None:
        """Check now and then that batches are sent and that hints arrive: a timer for each batch would cost more."""
        clock = asyncio.get_running_loop().time
        while True:
            received = self._received
            await asyncio.sleep(ALIVE_S)
            if self._received == received:
                self._has_news.set()
                await asyncio.sleep(SEND_S)
            is_stuck = self._sending_since is not None and clock() - self._sending_since > SEND_S
            if is_stuck or self._received == received:
                raise ConnectionError("what is sent does not arrive")

    def _receive(self, hints: Iterable[Hint]) -> None:
        self._received += 1
        self._hub.wake(hints)

    def _on_lost(self) -> None:
        self._is_lost = True
        self._has_news.set()


def gather(pending: dict[Topic, Hint], hints: Iterable[Hint]) -> None:
    """Add hints to those that wait to be sent, one for each thread, up to MAX_PENDING."""
    for hint in hints:
        if len(pending) < MAX_PENDING:
            pending[hint.topic] = merged(pending.get(hint.topic), hint)


async def probe(carrier: Carrier, wait_s: float = SEND_S) -> None:
    """Send nothing, and wait until it arrives.

    Errors: ConnectionError; TimeoutError.
    """
    arrived = asyncio.Event()
    async with asyncio.timeout(wait_s), carrier(lambda _hints: arrived.set(), arrived.clear) as send:
        await send(())
        await arrived.wait()
