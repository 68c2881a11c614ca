"""Group commit for SQLite's one writer: transactions that wait at the same time share one commit.

A transaction runs as a whole in the connection's thread, in which none of its statements has to be waited for; those
that wait meanwhile run after it in the same hop, each in a savepoint of its own, so that one that fails is rolled back
alone. Each ends after the commit.
Must not be here: what is written (`writes`, `statements`), PostgreSQL (`transactions`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gateway.store.connections import Connection, TransactionConnection, opened
from gateway.store.engines.sqlite import Sqlite

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Sequence
    from contextvars import Context

    from gateway.store.engines.base import Engines

    Work = Callable[[TransactionConnection], Awaitable[Any]]

T = TypeVar("T")

MAX_GROUP: Final = 64  # transactions that share a commit; more would let the first of them wait too long
MAX_WAITING: Final = 10_000  # that may wait; those that come then get a 503


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """What one transaction does, for whom it does that, and the future of its result."""

    work: Work
    done: asyncio.Future[Any]
    context: Context = field(default_factory=copy_context)


class GroupCommit:
    """Passes waiting transactions to the writer's thread, several at once."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._writer: Connection | None = None
        self._pending: deque[PendingWrite] = deque()
        self._runner: asyncio.Task[None] | None = None

    @property
    def in_use(self) -> int:
        """How many connections are in use: one while a transaction runs or waits."""
        return int(self._runner is not None)

    async def run(self, work: Callable[[TransactionConnection], Awaitable[T]]) -> T:
        """Run a transaction: committed when its function returns, rolled back when that raises.

        The function waits for nothing but its statements, since it does not run in the event loop.
        Errors: TimeoutError where too many wait; whatever the driver says.
        """
        if len(self._pending) == MAX_WAITING:
            raise TimeoutError
        write = PendingWrite(work, asyncio.get_running_loop().create_future())
        self._pending.append(write)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run_pending())
        result: T = await write.done
        return result

    async def close(self) -> None:
        """Close the connection, after what is pending has run."""
        if self._runner is not None:
            await self._runner
        if self._writer is not None:
            await self._writer.sqlalchemy.close()
            self._writer = None

    async def _run_pending(self) -> None:
        """Run pending transactions, up to MAX_GROUP at once, until none is left."""
        try:
            while self._pending:
                await self._write([self._pending.popleft() for _ in range(min(MAX_GROUP, len(self._pending)))])
        finally:
            self._runner = None

    async def _write(self, batch: list[PendingWrite]) -> None:
        try:
            if self._writer is None:
                self._writer = Connection(*await opened(self._engines.writer), Sqlite(), self._engines.statements)
            in_thread = partial(self._within_thread, self._writer)
            outcomes = await self._writer.call(lambda raw: run_batch(batch, in_thread(raw)))
        except Exception as error:  # noqa: BLE001  (all that share the commit get it)
            outcomes = [error] * len(batch)
            await self._discard()
        for write, outcome in zip(batch, outcomes, strict=True):
            if write.done.done():
                continue
            if isinstance(outcome, Exception):
                write.done.set_exception(outcome)
            else:
                write.done.set_result(outcome)
        batch.clear()  # the thread keeps both lists until it runs something else
        outcomes.clear()

    def _within_thread(self, writer: Connection, raw: sqlite3.Connection) -> TransactionConnection:
        return TransactionConnection(writer.sqlalchemy, raw, self._engines.transaction_driver, self._engines.statements)

    async def _discard(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):
                await writer.execute("ROLLBACK")
            with suppress(Exception):
                await writer.discard()


def run_batch(batch: Sequence[PendingWrite], connection: TransactionConnection) -> list[Any]:
    """Run transactions one after the other and commit; return the result of each, or its error."""
    raw: sqlite3.Connection = connection.raw
    raw.execute("BEGIN IMMEDIATE")
    if len(batch) == 1:
        outcomes = [_run(batch[0], connection, "ROLLBACK")]
    else:
        outcomes = [_run_in_savepoint(write, connection) for write in batch]
    if raw.in_transaction:
        raw.execute("COMMIT")
    return outcomes


def _run_in_savepoint(write: PendingWrite, connection: TransactionConnection) -> Any:
    connection.raw.execute("SAVEPOINT one")
    outcome = _run(write, connection, "ROLLBACK TO one")
    connection.raw.execute("RELEASE one")
    return outcome


def _run(write: PendingWrite, connection: TransactionConnection, undo: str) -> Any:
    """Run one transaction, and undo what it did if it fails or nobody waits for it any more."""
    raw: sqlite3.Connection = connection.raw
    if write.done.done():  # cancelled while another process held the lock
        return None
    try:
        outcome = write.context.run(_result, write.work, connection)
    except Exception as error:
        if not raw.in_transaction:
            raise  # SQLite has rolled back all of them, as it does where the disk is full
        outcome = error
    if isinstance(outcome, Exception) or write.done.done():
        raw.execute(undo)
    return outcome


def _result(work: Work, connection: TransactionConnection) -> Any:
    """Run a coroutine function that never has to wait, and return its result."""
    running: Any = work(connection)
    try:
        running.send(None)
    except StopIteration as ended:
        return ended.value
    running.close()
    raise RuntimeError("a transaction of SQLite waits for nothing but its statements")
