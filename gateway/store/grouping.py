"""SQLite's one writer: transactions that wait side by side share one commit, and each hears of it when it is on disk.

Each stands in a savepoint of its own, so one that fails is undone alone.
Must not be here: what is written (`writes`), PostgreSQL, where transactions run side by side.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from gateway.store import dialect
from gateway.store.lanes import Lane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from gateway.store.dialect import LaneRules

MOST: Final = 64  # transactions that share a commit; more would let the first of them wait too long


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

    async def close(self) -> None:
        """Let the connection go."""
        if self._lane is not None:
            await self._lane.connection.close()
            self._lane = None

    async def _wait(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(dialect.WAIT_S):
                await self._turn.acquire()
        finally:
            self._waiting -= 1

    async def _begun(self) -> tuple[Group, Lane]:
        if self._lane is None:
            connection = await self._engine.connect()
            raw = await connection.get_raw_connection()
            self._lane = Lane(connection, raw.driver_connection, self._rules)
        await self._lane.execute("BEGIN IMMEDIATE")
        self._group = Group()
        return self._group, self._lane

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
                await self._fail(group, self._lane, error)
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

    async def _fail(self, group: Group, lane: Lane, error: Exception) -> None:
        self._group = self._lane = None
        with suppress(Exception):
            await lane.execute("ROLLBACK")
        with suppress(Exception):
            await lane.connection.invalidate()
            await lane.connection.close()
        if not group.committed.done():
            group.committed.set_exception(error)
            group.committed.exception()  # seen, where nobody waits for it
