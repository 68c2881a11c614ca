"""Connections, which run each statement by one call of the driver, alone or within a transaction; and their pools.

They come from SQLAlchemy's pool and are returned at the end; a checkout for each statement would cost more than the
statement.
Must not be here: the text of statements (`statement_cache`), differences between databases (`engines`).
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from gateway.concurrency import WaitingLine
from gateway.store.engines import base
from gateway.store.engines.errors import is_refused, is_usable_after
from gateway.store.engines.sqlite import take_each

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from gateway.store.engines.base import Driver, Engines, Take, TransactionDriver
    from gateway.store.statement_cache import Build

    Query = tuple[Take[Any], Build, tuple[Any, ...]]

log: Final = logging.getLogger(__name__)

_REFUSED_S: Final = 1.0  # between attempts to connect to a server that has no connection left
C = TypeVar("C", bound="Connection")
T = TypeVar("T")


class Connection:
    """One connection; a statement is given as its builder and the arguments of the builder."""

    def __init__(self, sqlalchemy: AsyncConnection, raw: Any, driver: Driver, engines: Engines) -> None:
        self.sqlalchemy = sqlalchemy
        self.raw = raw  # the driver's own
        self.is_sqlite = driver.is_sqlite
        self._driver = driver
        self._statements = engines.statements
        self._watch = engines.watchers.watch

    def is_closed(self) -> bool:
        """Say whether the database has closed the connection, as far as is known here."""
        return not self.is_sqlite and self.raw.is_closed()

    def abort(self) -> None:
        """Break the connection to a server, so that waiting calls fail."""
        if not self.is_sqlite:
            self.raw.terminate()

    def interrupt(self) -> None:
        """Interrupt the statement in SQLite's thread; for a server, the driver does this when a call is cancelled."""
        if self.is_sqlite:
            self.raw.is_given_up.set()

    async def discard(self) -> None:
        """Close the connection."""
        await self.sqlalchemy.invalidate()
        await self.sqlalchemy.close()

    def execute(self, text: str) -> Awaitable[None]:
        """Run a statement that begins or ends a transaction; it is not counted."""
        return self._driver.execute(self.raw, text)

    def call(self, function: Callable[[Any], Any]) -> Awaitable[Any]:
        """Call a function with the driver's own connection; with SQLite's in that one's thread."""
        return self._driver.call(self.raw, function)

    def rows(self, build: Build, arguments: tuple[Any, ...]) -> Awaitable[Sequence[Any]]:
        """Run a statement, and return its rows."""
        return self.take(list, build, arguments)

    async def take(self, take: Take[T], build: Build, arguments: tuple[Any, ...]) -> T:
        """Run a statement, and return the result of a function on its rows.

        Where the database yields them one by one, the function runs in the connection's thread, and only the rows that
        it takes are read.
        """
        prepared, values = self._statements.prepared(build, arguments)
        with self._watch(prepared.text):
            return await self._driver.take(self.raw, prepared.text, values, take)

    async def take_each(self, *queries: Query) -> list[Any]:
        """Do the same for several statements in one hop to SQLite's thread."""
        statements = []
        for take, build, arguments in queries:
            prepared, values = self._statements.prepared(build, arguments)
            statements.append((prepared.text, values, take))
        with self._watch(*(text for text, *_ in statements)):
            found: list[Any] = await self._driver.call(self.raw, partial(take_each, statements))
        return found


class TransactionConnection(Connection):
    """A connection that runs transactions."""

    def __init__(self, sqlalchemy: AsyncConnection, raw: Any, driver: TransactionDriver, engines: Engines) -> None:
        super().__init__(sqlalchemy, raw, driver, engines)
        self._of_transactions = driver

    async def run_many(self, build: Build, each: Sequence[tuple[Any, ...]]) -> None:
        """Run a statement for each of many arguments, in order; those of one shape are one call and one to watchers."""
        prepared = [self._statements.prepared(build, arguments) for arguments in each]
        for text, alike in groupby(prepared, lambda one: one[0].text):
            with self._watch(text):
                await self._of_transactions.run_many(self.raw, text, [values for _, values in alike])

    async def insert_rows(self, table: Table, columns: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
        """Insert many rows by one call; it is not counted."""
        await self._of_transactions.insert_rows(self.raw, table.name, columns, values)

    async def lock_imports(self) -> None:
        """Wait for the import that runs on this database, and block others until the transaction ends."""
        await self._of_transactions.lock_imports(self.raw)


async def open_reader(engines: Engines) -> Connection:
    """Open a connection that runs single statements."""
    sqlalchemy, raw = await connect(engines.reader)
    return Connection(sqlalchemy, raw, engines.driver, engines)


async def open_writer(engines: Engines) -> TransactionConnection:
    """Open a connection that runs transactions."""
    sqlalchemy, raw = await connect(engines.writer)
    return TransactionConnection(sqlalchemy, raw, engines.transaction_driver, engines)


async def connect(engine: AsyncEngine) -> tuple[AsyncConnection, Any]:
    """Open a connection of an engine; return it and the driver's own."""
    sqlalchemy = await engine.connect()
    return sqlalchemy, (await sqlalchemy.get_raw_connection()).driver_connection


class ConnectionPool(Generic[C]):
    """Lends connections in the order of requests; one that failed, or whose statement was cancelled, is closed."""

    def __init__(self, connect: Callable[[], Awaitable[C]], at_most: int) -> None:
        self._connect = connect
        self._at_most = at_most
        self._idle: list[C] = []
        self._waiting = WaitingLine[C | None]()  # for the next that is released; None where another may be opened
        self._closing: set[asyncio.Task[None]] = set()
        self._lent: dict[C, int] = {}  # with how often each was seen by `abort_stuck`
        self._refused_until = 0.0
        self.open = 0

    @property
    def in_use(self) -> int:
        """How many are borrowed now."""
        return self.open - len(self._idle)

    def release(self, connection: C, error: BaseException | None) -> None:
        """Take a connection back, with the error that ended its use, if any."""
        del self._lent[connection]
        if error is None or is_usable_after(error):
            self._give_back(connection)
        else:
            self._discard(connection)

    async def close(self) -> None:
        """Return all idle connections to SQLAlchemy's pool."""
        for connection in self._idle:
            await connection.sqlalchemy.close()
        self.open -= len(self._idle)
        self._idle.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def acquire_idle(self) -> C | None:
        """Lend an idle connection that is not known to be closed, if there is one.

        So no statement is sent over a closed one, and none has to be repeated.
        """
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return self._lend(connection)
            self._discard(connection)
        return None

    def abort_stuck(self, most: float) -> None:
        """Break connections that were lent during more than `most` calls of this: their server no longer responds."""
        for connection, seen in self._lent.items():
            self._lent[connection] = seen + 1
            if seen >= most:
                connection.abort()

    async def acquire(self, until: float | None = None) -> C:
        """Lend a connection, which has to be released; `until` is a time of the loop, if it is not WAIT_S from now.

        Errors: TimeoutError where none is free or connected in time; whatever the driver raises when it connects.
        """
        until = until or base.wait_until()
        while True:
            if (idle := self.acquire_idle()) is not None:
                return idle
            if self._may_open():
                async with asyncio.timeout_at(until):
                    connection = await self._open()
                if connection is not None:
                    return self._lend(connection)
                continue  # meanwhile one of the others may have come back
            given = await self._next(until)
            if given is not None and not given.is_closed():
                return self._lend(given)
            if given is not None:
                self._discard(given)

    async def _next(self, until: float) -> C | None:
        waiting = self._waiting.join(until)
        try:
            return await waiting
        except asyncio.CancelledError:
            came = waiting.done() and not waiting.cancelled() and waiting.exception() is None
            if came and (given := waiting.result()) is not None:  # at the last moment
                self._give_back(given)
            raise

    def _lend(self, connection: C) -> C:
        self._lent[connection] = 0
        return connection

    def _may_open(self) -> bool:
        if self.open == 0:
            return True
        return self.open < self._at_most and asyncio.get_running_loop().time() >= self._refused_until

    async def _open(self) -> C | None:
        """Open a connection; return None where the server has none left, but another of ours will be released."""
        self.open += 1
        try:
            return await self._connect()
        except BaseException as error:
            can_wait = self.open > 1 and is_refused(error)
            if can_wait:
                self._note_refusal()
            self._note_closed()
            if not can_wait:
                raise
            return None

    def _note_refusal(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._refused_until:  # of those who were refused at once, one line
            log.warning("the database has no connection left: requests wait for those of this server")
        self._refused_until = now + _REFUSED_S

    def _give_back(self, connection: C) -> None:
        if not self._waiting.give(connection):
            self._idle.append(connection)

    def _discard(self, connection: C) -> None:
        """Close a connection in the background, since its statement has to end first."""
        connection.interrupt()
        task = asyncio.get_running_loop().create_task(self._close(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, connection: C) -> None:
        try:
            await connection.discard()
        finally:
            self._note_closed()

    def _note_closed(self) -> None:
        self.open -= 1
        self._waiting.give(None)
