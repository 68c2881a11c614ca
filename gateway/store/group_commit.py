"""SQLite's one writer: what waits side by side shares one commit, and each hears of it when it is on disk.

Each stands in a savepoint of its own, so one that fails is undone alone. Whoever knows all its statements beforehand
hands them over, and those of all who wait run in one hop to the connection's thread; who has to look at what one gives
before the next borrows the writer.
Must not be here: what is written (`writes`, `selects`), PostgreSQL, where transactions run side by side.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gateway.store.connections import Lane
from gateway.store.engines import base

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from gateway.store.engines.base import LaneRules

    Step = tuple[str, Sequence[Any]]  # the text of a statement and its values
    Found = list[Sequence[Any]]  # the rows of each step

MOST: Final = 64  # transactions that share a commit; more would let the first of them wait too long
MOST_WAITING: Final = 10_000  # that may wait; whoever comes then is told to come again


@dataclass(frozen=True, slots=True)
class Work:
    """Statements that were handed over, and who waits for what they find."""

    steps: Sequence[Step]
    done: asyncio.Future[Found]


class Group:
    """Transactions that will be committed together."""

    def __init__(self) -> None:
        self.held = 0
        self.committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Grouping:
    """Hands the writer on from one to the next; whoever is followed by nobody commits for all before."""

    def __init__(self, engine: AsyncEngine, rules: LaneRules) -> None:
        self._engine = engine
        self._rules = rules
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._lane: Lane | None = None
        self._group: Group | None = None
        self._works: deque[Work] = deque()
        self._working: asyncio.Task[None] | None = None

    @property
    def in_use(self) -> int:
        """Whether somebody writes now."""
        return int(self._turn.locked())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Lane]:
        """Hand the writer out for as long as the block, which has been committed when this ends.

        Errors: TimeoutError where others write for too long; whatever the driver says.
        """
        await self._wait()
        group, lane = self._group, self._lane
        try:
            if group is None or lane is None:
                group, lane = await self._begun()
            await lane.execute("SAVEPOINT one")
        except BaseException:
            await asyncio.shield(self._leave(group, is_good=False, undo=True))
            raise
        try:
            yield lane
        except BaseException:
            await asyncio.shield(self._leave(group, is_good=False, undo=True))
            raise
        await asyncio.shield(self._leave(group, is_good=True, undo=False))
        await asyncio.shield(group.committed)

    async def run(self, steps: Sequence[Step]) -> Found:
        """Run statements in a transaction that has been committed when this ends, and give the rows of each.

        Errors: TimeoutError where others write for too long; whatever the driver says.
        """
        if len(self._works) == MOST_WAITING:
            raise TimeoutError
        work = Work(steps, asyncio.get_running_loop().create_future())
        self._works.append(work)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        with base.heard_together(self._engine.sync_engine, steps):
            return await work.done

    async def close(self) -> None:
        """Let the connection go."""
        if self._working is not None:
            await self._working
        if self._lane is not None:
            await self._lane.connection.close()
            self._lane = None

    async def _work(self) -> None:
        """Run what was handed over, as much at once as may share a commit, until nothing is left."""
        try:
            while self._works:
                try:
                    await self._wait()
                except TimeoutError as error:
                    _fail_all([self._works.popleft() for _ in range(len(self._works))], error)
                    return
                try:
                    await self._write([self._works.popleft() for _ in range(min(MOST, len(self._works)))])
                finally:
                    self._turn.release()
        finally:
            self._working = None

    async def _write(self, works: list[Work]) -> None:
        wanted = [work for work in works if not work.done.done()]  # others were given up while they waited
        group = self._group
        try:
            lane = await self._connected()
            outcomes = await lane.call(partial(run_together, wanted, begins=group is None))
        except Exception as error:  # noqa: BLE001  (all who share the commit hear of it)
            _fail_all(wanted, error)
            await self._fail(group, error)
            return
        self._group = None
        if group is not None:
            group.committed.set_result(None)
        for work, outcome in zip(wanted, outcomes, strict=True):
            if work.done.done():
                continue
            if isinstance(outcome, Exception):
                work.done.set_exception(outcome)
            else:
                work.done.set_result(outcome)

    async def _wait(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(base.WAIT_S):
                await self._turn.acquire()
        finally:
            self._waiting -= 1

    async def _begun(self) -> tuple[Group, Lane]:
        lane = await self._connected()
        await lane.execute("BEGIN IMMEDIATE")
        self._group = Group()
        return self._group, lane

    async def _connected(self) -> Lane:
        if self._lane is None:
            connection = await self._engine.connect()
            raw = await connection.get_raw_connection()
            self._lane = Lane(connection, raw.driver_connection, self._rules)
        return self._lane

    async def _leave(self, group: Group | None, *, is_good: bool, undo: bool) -> None:
        """End one transaction, and with it the group unless somebody waits to go on with it."""
        try:
            if group is None or self._lane is None:
                await self._give_up_beginning()
                return
            try:
                if undo:
                    await self._lane.execute("ROLLBACK TO one")
                await self._lane.execute("RELEASE one")
                group.held += is_good
                if not self._waiting or group.held >= MOST:
                    await self._commit(group, self._lane)
            except Exception as error:  # noqa: BLE001  (all who share the group hear of it)
                await self._fail(group, error)
        finally:
            self._turn.release()

    async def _give_up_beginning(self) -> None:
        """Undo a transaction that may still begin: who wanted it did not wait for its beginning."""
        if self._lane is not None:
            with suppress(Exception):  # it did not begin
                await self._lane.execute("ROLLBACK")

    async def _commit(self, group: Group, lane: Lane) -> None:
        await lane.execute("COMMIT")
        self._group = None
        if lane.connection.in_transaction():
            await lane.connection.rollback()  # SQLAlchemy's own notion of one; there is nothing left to undo
        group.committed.set_result(None)

    async def _fail(self, group: Group | None, error: Exception) -> None:
        lane, self._group, self._lane = self._lane, None, None
        if lane is not None:
            with suppress(Exception):
                await lane.execute("ROLLBACK")
            with suppress(Exception):
                await lane.connection.invalidate()
                await lane.connection.close()
        if group is not None and not group.committed.done():
            group.committed.set_exception(error)
            group.committed.exception()  # seen, where nobody waits for it


def run_together(works: Sequence[Work], connection: sqlite3.Connection, *, begins: bool) -> list[Any]:
    """Run works one after the other, each in a savepoint, and commit; for each give its rows, or why it was undone."""
    if begins:
        connection.execute("BEGIN IMMEDIATE")
    outcomes: list[Any] = []
    for work in works:
        if work.done.done():  # given up while another process kept us waiting
            outcomes.append([])
            continue
        connection.execute("SAVEPOINT one")
        try:
            outcomes.append(base.run_each(work.steps, connection))
        except Exception as error:  # noqa: BLE001  (who handed it over hears of it)
            connection.execute("ROLLBACK TO one")
            outcomes.append(error)
        connection.execute("RELEASE one")
    connection.execute("COMMIT")
    return outcomes


def _fail_all(works: Sequence[Work], error: Exception) -> None:
    for work in works:
        if not work.done.done():
            work.done.set_exception(error)
