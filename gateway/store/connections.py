"""Connections that are kept between statements, handed out in the order in which they were asked for.

They come from SQLAlchemy's pool and go back to it at the end; taking one out of there for each statement would cost
more than the statement. On one, a statement is a single call of the driver, without a transaction around it.
Must not be here: the text of statements (`statement_cache`), differences between databases (`base`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.store.engines import base

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from gateway.store.engines.base import LaneRules, Take
    from gateway.store.reads import Reads
    from gateway.store.statement_cache import Prepared

    Step = tuple[Prepared, Sequence[Any], Take[Any]]

T = TypeVar("T")


class Lane:
    """One connection."""

    def __init__(self, connection: AsyncConnection, driver: Any, rules: LaneRules) -> None:
        self.connection = connection
        self._driver = driver
        self._fetch, self._take, self._call = rules.fetch, rules.take, rules.call
        self.is_local = rules.is_local
        self._heard = base.Heard(connection.sync_connection)
        self.reads: Reads | None = None  # what is read over it, once somebody did

    async def execute(self, text: str) -> None:
        """Run what begins or ends a transaction, which is no statement of ours."""
        await self._fetch(self._driver, text, ())

    async def call(self, work: Callable[[Any], Any]) -> Any:
        """Let a function use SQLite's own connection, in that one's thread."""
        return await self._call(self._driver, work)

    async def taken(self, prepared: Prepared, values: Sequence[Any], take: Take[T]) -> T:
        """Run a statement, and give what a function takes of its rows.

        Where the database gives them one by one, no more are read than it wants; it runs in that one's thread then.
        """
        text, values = self._heard.begin(prepared.text, values)
        try:
            found: T = await self._take(self._driver, text, values, take)
        except BaseException as error:
            self._heard.fail(error)
            raise
        self._heard.end(text, values)
        return found

    async def taken_of_each(self, steps: Sequence[Step]) -> list[Any]:
        """Do the same for several statements in one hop to SQLite's thread."""
        texts = [(prepared.text, values, take) for prepared, values, take in steps]
        with self._heard.together([text[:2] for text in texts]):
            found: list[Any] = await self._call(self._driver, partial(base.take_each, texts))
        return found

    async def taken_again(self, prepared: Prepared, each: Sequence[Sequence[Any]], take: Take[T]) -> list[T]:
        """Do the same with one statement for several values, of which nobody hears but once."""
        texts = [(prepared.text, values, take) for values in each]
        with self._heard.together([texts[0][:2]]):
            found: list[T] = await self._call(self._driver, partial(base.take_each, texts))
        return found

    async def rows(self, prepared: Prepared, values: Sequence[Any]) -> Sequence[Any]:
        """Run a statement by one call of the driver."""
        text, values = self._heard.begin(prepared.text, values)
        try:
            found = await self._fetch(self._driver, text, values)
        except BaseException as error:
            self._heard.fail(error)
            raise
        self._heard.end(text, values)
        return found


class Lanes:
    """All of them; one that has failed, or whose statement was given up, is closed and not handed out again."""

    def __init__(self, engine: AsyncEngine, rules: LaneRules) -> None:
        self._engine = engine
        self._rules = rules
        self._idle: list[Lane] = []
        self._waiting: deque[asyncio.Future[Lane | None]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self.open = 0

    @property
    def in_use(self) -> int:
        """How many are handed out now."""
        return self.open - len(self._idle)

    def take_back(self, lane: Lane, error: BaseException | None) -> None:
        """Take a lane from who has it, and what has ended its use, if that was an error."""
        if error is None or base.keeps_connection(error):
            self._give_back(lane)
        else:
            self._discard(lane)

    async def close(self) -> None:
        """Give all back to the pool that are not in use."""
        for lane in self._idle:
            await lane.connection.close()
        self.open -= len(self._idle)
        self._idle.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def take_idle(self) -> Lane | None:
        """Hand a lane out that nobody uses, if there is one."""
        return self._idle.pop() if self._idle else None

    async def take(self) -> Lane:
        """Hand a lane out, which has to be taken back.

        Errors: TimeoutError where none is free in time; whatever the driver says when it connects.
        """
        while True:
            if self._idle:
                return self._idle.pop()
            if self.open < self._rules.at_most:
                return await self._connected()
            waiting: asyncio.Future[Lane | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                async with asyncio.timeout(base.WAIT_S):
                    lane = await waiting
            except BaseException:
                if waiting.done() and not waiting.cancelled() and (given := waiting.result()) is not None:
                    self._give_back(given)  # it came at the last moment
                raise
            if lane is not None:
                return lane  # else one was closed, and another may be opened

    async def _connected(self) -> Lane:
        self.open += 1
        try:
            connection = await self._engine.connect()
            raw = await connection.get_raw_connection()
        except BaseException:
            self._closed()
            raise
        return Lane(connection, raw.driver_connection, self._rules)

    def _give_back(self, lane: Lane) -> None:
        waiting = self._next()
        if waiting is None:
            self._idle.append(lane)
        else:
            waiting.set_result(lane)

    def _discard(self, lane: Lane) -> None:
        """Close a lane beside the requests: SQLite ends a statement before it looks up."""
        task = asyncio.get_running_loop().create_task(self._close(lane))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, lane: Lane) -> None:
        try:
            await lane.connection.invalidate()
            await lane.connection.close()
        finally:
            self._closed()

    def _closed(self) -> None:
        self.open -= 1
        waiting = self._next()
        if waiting is not None:
            waiting.set_result(None)

    def _next(self) -> asyncio.Future[Lane | None] | None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                return waiting
        return None
