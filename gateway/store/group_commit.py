"""Group commit for SQLite's one writer: transactions that wait at the same time share one commit.

A transaction runs as a whole in the connection's thread, where no statement has to be awaited; waiting transactions run
after it in the same hop, each in a savepoint of its own, so that one that fails is rolled back alone. All of them
return after the commit.
Must not be here: what is written (`writes`, `statements`), PostgreSQL (`transactions`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from itertools import takewhile
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

from gateway.store.connections import Connection, TransactionConnection, connect
from gateway.store.engines.errors import is_usable_after

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Sequence
    from contextvars import Context

    from gateway.store.engines.base import Engines

    Work = Callable[[TransactionConnection], Awaitable[Any]]

T = TypeVar("T")

MAX_GROUP: Final = 64  # transactions that share a commit; more would let the first of them wait too long
MAX_GROUP_S: Final = 0.1  # after which no further one begins, whatever they write: other processes wait for the lock
MAX_WAITING: Final = 10_000  # that may wait; further ones get a 503


class PendingWrite(NamedTuple):
    """The function of one transaction, its caller's context, and the future of its result."""

    work: Work
    context: Context
    done: asyncio.Future[Any]


class GroupCommit:
    """Passes waiting transactions to the writer's thread, several at once."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._writer: Connection | None = None
        self._within_thread: TransactionConnection | None = None  # the same, as transactions use it
        self._pending: deque[PendingWrite] = deque()
        self._running: asyncio.Future[Any] | None = None  # no task: that would cost as much as a statement

    @property
    def in_use(self) -> int:
        """How many connections are in use: one while a transaction runs or waits."""
        return int(self._running is not None)

    async def run(self, work: Callable[[TransactionConnection], Awaitable[T]], _until: float | None = None) -> T:
        """Run a transaction: it is committed when its function returns, and rolled back when that raises.

        The function waits for nothing but its statements, since it does not run in the event loop.
        Errors: TimeoutError where too many wait; whatever the driver says.
        """
        if len(self._pending) == MAX_WAITING:
            raise TimeoutError
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append(PendingWrite(work, copy_context(), done))
        if self._running is None:
            self._begin()
        return await done

    async def close(self) -> None:
        """Close the connection, after what is pending has run."""
        while self._running is not None:
            await asyncio.wait([self._running])
        if self._writer is not None:
            await self._writer.sqlalchemy.close()
            self._writer = None

    def _begin(self) -> None:
        """Run pending transactions, up to MAX_GROUP at once; the next follow when they have ended."""
        batch = [self._pending.popleft() for _ in range(min(MAX_GROUP, len(self._pending)))]
        running = self._open(batch) if self._writer is None else self._call(self._writer, batch)
        self._running = asyncio.ensure_future(running)
        self._running.add_done_callback(partial(self._end, batch))

    async def _open(self, batch: list[PendingWrite]) -> list[Any]:
        """Open the connection, and run the first transactions."""
        parts = self._engines.transaction_driver, self._engines
        self._writer = writer = Connection(*await connect(self._engines.writer), self._engines.driver, self._engines)
        self._within_thread = await writer.call(lambda raw: TransactionConnection(writer.sqlalchemy, raw, *parts))
        return await self._call(writer, batch)

    def _call(self, writer: Connection, batch: list[PendingWrite]) -> Awaitable[list[Any]]:
        return writer.call(lambda _raw: run_batch(batch, cast("TransactionConnection", self._within_thread)))

    def _end(self, batch: list[PendingWrite], running: asyncio.Future[list[Any]]) -> None:
        """Report the results of transactions, and begin the next ones: first those for which there was no time."""
        failure: BaseException | None = None
        try:
            outcomes = running.result()
            self._pending.extendleft(reversed(batch[len(outcomes) :]))
        except BaseException as error:  # noqa: BLE001  (all that share the commit get it)
            failure, outcomes = error, [error] * len(batch)
        for write, outcome in zip(batch, outcomes, strict=False):
            if write.done.done():
                continue
            if isinstance(outcome, BaseException):
                write.done.set_exception(outcome)
            else:
                write.done.set_result(outcome)
        batch.clear()  # the thread keeps both lists until it runs something else
        outcomes.clear()
        if failure is None:
            self._go_on()
        else:
            self._running = asyncio.ensure_future(self._discard())
            self._running.add_done_callback(self._go_on)

    def _go_on(self, _done: object = None) -> None:
        self._running = None
        if self._pending:
            self._begin()

    async def _discard(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):
                await writer.execute("ROLLBACK")
            with suppress(Exception):
                await writer.discard()


def run_batch(batch: Sequence[PendingWrite], connection: TransactionConnection) -> list[Any]:
    """Run transactions one after the other and commit; return the result of each that has run, or its error."""
    raw: sqlite3.Connection = connection.raw
    raw.execute("BEGIN IMMEDIATE")
    if len(batch) == 1:
        outcomes = [_run(batch[0], connection, "ROLLBACK")]
    else:
        until = monotonic() + MAX_GROUP_S
        outcomes = [_run_in_savepoint(write, connection) for write in takewhile(lambda _: monotonic() < until, batch)]
    if raw.in_transaction:
        raw.execute("COMMIT")
    return outcomes


def _run_in_savepoint(write: PendingWrite, connection: TransactionConnection) -> Any:
    connection.raw.execute("SAVEPOINT one")
    outcome = _run(write, connection, "ROLLBACK TO one")
    connection.raw.execute("RELEASE one")
    return outcome


def _run(write: PendingWrite, connection: TransactionConnection, undo: str) -> Any:
    """Run one transaction, and undo it if it fails or its caller no longer waits."""
    raw: sqlite3.Connection = connection.raw
    if write.done.done():  # cancelled while another process held the lock
        return None
    try:
        outcome = write.context.run(_result, write.work, connection)
    except Exception as error:
        if not raw.in_transaction or not is_usable_after(error):
            raise  # SQLite has rolled back all of them, or cannot write any, as on a full disk
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
