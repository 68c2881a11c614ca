"""Group commit for SQLite's one writer: transactions that wait at the same time share one commit.

Each has a savepoint of its own, so one that fails is rolled back alone, and each ends after the commit. A caller that
knows all its statements passes them to `run`, which runs those of all waiting callers in one hop to the connection's
thread; one that needs the rows of a statement before the next borrows the writer (`transaction`).
Must not be here: what is written (`writes`, `statements`), PostgreSQL, where transactions run concurrently.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gateway.store.connections import connect
from gateway.store.engines import base
from gateway.store.engines.instrumentation import report_batch
from gateway.store.engines.sqlite import run_each

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Sequence

    from gateway.store.connections import Connection
    from gateway.store.engines.base import Engines

    Statement = tuple[str, Sequence[Any]]  # its text and its values
    Rows = list[Sequence[Any]]  # of each statement

MAX_GROUP: Final = 64  # transactions that share a commit; more would let the first of them wait too long
MAX_WAITING: Final = 10_000  # that may wait; those that come then get a 503


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """The statements of one transaction, and the future of their rows."""

    statements: Sequence[Statement]
    done: asyncio.Future[Rows]


class Group:
    """Borrowed transactions that will be committed together."""

    def __init__(self) -> None:
        self.size = 0
        self.committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class GroupCommit:
    """Passes the writer from one transaction to the next; the last one of a group commits for all of it."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._connection: Connection | None = None
        self._group: Group | None = None
        self._pending: deque[PendingWrite] = deque()
        self._runner: asyncio.Task[None] | None = None

    @property
    def in_use(self) -> int:
        """How many connections are in use: one while a transaction runs."""
        return int(self._lock.locked())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend the writer for the block, which is committed when this ends.

        Errors: TimeoutError where others write for too long; whatever the driver says.
        """
        await self._wait()
        group, connection = self._group, self._connection
        try:
            if group is None or connection is None:
                group, connection = await self._begin()
            await connection.execute("SAVEPOINT one")
        except BaseException:
            await asyncio.shield(self._leave(group, is_good=False, undo=True))
            raise
        try:
            yield connection
        except BaseException:
            await asyncio.shield(self._leave(group, is_good=False, undo=True))
            raise
        await asyncio.shield(self._leave(group, is_good=True, undo=False))
        await asyncio.shield(group.committed)

    async def run(self, statements: Sequence[Statement]) -> Rows:
        """Run statements in a transaction that is committed when this ends, and return the rows of each.

        Errors: TimeoutError where others write for too long; whatever the driver says.
        """
        if len(self._pending) == MAX_WAITING:
            raise TimeoutError
        write = PendingWrite(statements, asyncio.get_running_loop().create_future())
        self._pending.append(write)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run_pending())
        with report_batch(self._engines.writer.sync_engine, statements):
            return await write.done

    async def close(self) -> None:
        """Close the connection, after what is pending has run."""
        if self._runner is not None:
            await self._runner
        if self._connection is not None:
            await self._connection.sqlalchemy.close()
            self._connection = None

    async def _run_pending(self) -> None:
        """Run pending writes, up to MAX_GROUP at once, until none is left."""
        try:
            while self._pending:
                try:
                    await self._wait()
                except TimeoutError as error:
                    _fail_all([self._pending.popleft() for _ in range(len(self._pending))], error)
                    return
                try:
                    await self._write([self._pending.popleft() for _ in range(min(MAX_GROUP, len(self._pending)))])
                finally:
                    self._lock.release()
        finally:
            self._runner = None

    async def _write(self, pending: list[PendingWrite]) -> None:
        batch = [write for write in pending if not write.done.done()]  # others were cancelled while they waited
        group = self._group
        try:
            connection = await self._connected()
            outcomes = await connection.call(partial(run_batch, batch, begins=group is None))
        except Exception as error:  # noqa: BLE001  (all that share the commit get it)
            _fail_all(batch, error)
            await self._fail(group, error)
            return
        self._group = None
        if group is not None:
            group.committed.set_result(None)
        for write, outcome in zip(batch, outcomes, strict=True):
            if write.done.done():
                continue
            if isinstance(outcome, Exception):
                write.done.set_exception(outcome)
            else:
                write.done.set_result(outcome)

    async def _wait(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(base.WAIT_S):
                await self._lock.acquire()
        finally:
            self._waiting -= 1

    async def _begin(self) -> tuple[Group, Connection]:
        connection = await self._connected()
        await connection.execute("BEGIN IMMEDIATE")
        self._group = Group()
        return self._group, connection

    async def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = await connect(self._engines.writer, self._engines)
        return self._connection

    async def _leave(self, group: Group | None, *, is_good: bool, undo: bool) -> None:
        """End one transaction, and commit its group unless another transaction waits to join."""
        try:
            if group is None or self._connection is None:
                await self._abort_begin()
                return
            try:
                if undo:
                    await self._connection.execute("ROLLBACK TO one")
                await self._connection.execute("RELEASE one")
                group.size += is_good
                if not self._waiting or group.size >= MAX_GROUP:
                    await self._commit(group, self._connection)
            except Exception as error:  # noqa: BLE001  (all that share the group get it)
                await self._fail(group, error)
        finally:
            self._lock.release()

    async def _abort_begin(self) -> None:
        """Roll back a transaction that may have begun: its caller was cancelled meanwhile."""
        if self._connection is not None:
            with suppress(Exception):  # it did not begin
                await self._connection.execute("ROLLBACK")

    async def _commit(self, group: Group, connection: Connection) -> None:
        await connection.execute("COMMIT")
        self._group = None
        if connection.sqlalchemy.in_transaction():
            await connection.sqlalchemy.rollback()  # SQLAlchemy's own state; there is nothing left to undo
        group.committed.set_result(None)

    async def _fail(self, group: Group | None, error: Exception) -> None:
        connection, self._group, self._connection = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                await connection.execute("ROLLBACK")
            with suppress(Exception):
                await connection.sqlalchemy.invalidate()
                await connection.sqlalchemy.close()
        if group is not None and not group.committed.done():
            group.committed.set_exception(error)
            group.committed.exception()  # mark it as retrieved, in case nothing awaits it


def run_batch(batch: Sequence[PendingWrite], connection: sqlite3.Connection, *, begins: bool) -> list[Any]:
    """Run writes one after the other, each in a savepoint, and commit; return the rows of each, or its error."""
    if begins:
        connection.execute("BEGIN IMMEDIATE")
    outcomes: list[Any] = []
    for write in batch:
        if write.done.done():  # cancelled while another process held the lock
            outcomes.append([])
            continue
        connection.execute("SAVEPOINT one")
        try:
            outcomes.append(run_each(write.statements, connection))
        except Exception as error:  # noqa: BLE001  (its caller gets it)
            connection.execute("ROLLBACK TO one")
            outcomes.append(error)
        connection.execute("RELEASE one")
    connection.execute("COMMIT")
    return outcomes


def _fail_all(writes: Sequence[PendingWrite], error: Exception) -> None:
    for write in writes:
        if not write.done.done():
            write.done.set_exception(error)
