"""The pool of connections that run single statements, each by one call of the driver and without a transaction.

They come from SQLAlchemy's pool and go back to it at the end; a checkout from there for each statement would cost more
than the statement.
Must not be here: the text of statements (`statement_cache`), differences between databases (`engines`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.store.engines import base
from gateway.store.engines.errors import is_usable_after
from gateway.store.engines.instrumentation import StatementListeners
from gateway.store.engines.sqlite import take_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from gateway.store.engines.base import Engines, Take
    from gateway.store.statement_cache import Build

    Query = tuple[Take[Any], Build, tuple[Any, ...]]

T = TypeVar("T")


class Connection:
    """One connection; its statements are named by a builder and the arguments of that."""

    def __init__(self, sqlalchemy: AsyncConnection, driver: Any, engines: Engines) -> None:
        rules = engines.rules
        self.sqlalchemy = sqlalchemy
        self._driver = driver
        self._fetch, self._take, self._call = rules.fetch, rules.take, rules.call
        self.is_local = rules.is_local
        self._prepared = engines.statements.prepared
        self._listeners = StatementListeners(sqlalchemy.sync_connection)

    async def execute(self, text: str) -> None:
        """Run a statement that begins or ends a transaction; it is not counted."""
        await self._fetch(self._driver, text, ())

    async def call(self, function: Callable[[Any], Any]) -> Any:
        """Call a function with SQLite's own connection, in that one's thread."""
        return await self._call(self._driver, function)

    async def rows(self, build: Build, arguments: tuple[Any, ...]) -> Sequence[Any]:
        """Run a statement, and return its rows."""
        prepared, values = self._prepared(build, arguments)
        text, values = self._listeners.begin(prepared.text, values)
        try:
            found = await self._fetch(self._driver, text, values)
        except BaseException as error:
            self._listeners.fail(error)
            raise
        self._listeners.end(text, values)
        return found

    async def take(self, take: Take[T], build: Build, arguments: tuple[Any, ...]) -> T:
        """Run a statement, and return what a function takes from its rows.

        Where the database yields them one by one, the function runs in the connection's thread, and no more rows are
        read than it takes.
        """
        prepared, values = self._prepared(build, arguments)
        text, values = self._listeners.begin(prepared.text, values)
        try:
            found: T = await self._take(self._driver, text, values, take)
        except BaseException as error:
            self._listeners.fail(error)
            raise
        self._listeners.end(text, values)
        return found

    async def take_each(self, *queries: Query) -> list[Any]:
        """Do the same for several statements in one hop to SQLite's thread."""
        statements = []
        for take, build, arguments in queries:
            prepared, values = self._prepared(build, arguments)
            statements.append((prepared.text, values, take))
        with self._listeners.batch([each[:2] for each in statements]):
            found: list[Any] = await self._call(self._driver, partial(take_each, statements))
        return found

    async def take_repeated(self, take: Take[T], build: Build, each: Sequence[tuple[Any, ...]]) -> list[T]:
        """Do the same with one statement for several arguments of one shape; listeners see one statement."""
        statements = []
        for arguments in each:
            prepared, values = self._prepared(build, arguments)
            statements.append((prepared.text, values, take))
        with self._listeners.batch([statements[0][:2]]):
            found: list[T] = await self._call(self._driver, partial(take_each, statements))
        return found


async def connect(engine: AsyncEngine, engines: Engines) -> Connection:
    """Open a connection of one of the engines."""
    sqlalchemy = await engine.connect()
    raw = await sqlalchemy.get_raw_connection()
    return Connection(sqlalchemy, raw.driver_connection, engines)


class ConnectionPool:
    """Lends connections in the order of requests; one that failed, or whose statement was cancelled, is closed."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self.open = 0

    @property
    def in_use(self) -> int:
        """How many are borrowed now."""
        return self.open - len(self._idle)

    def release(self, connection: Connection, error: BaseException | None) -> None:
        """Take a connection back, with the error that ended its use, if any."""
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

    def acquire_idle(self) -> Connection | None:
        """Lend an idle connection, if there is one."""
        return self._idle.pop() if self._idle else None

    async def acquire(self) -> Connection:
        """Lend a connection, which has to be released.

        Errors: TimeoutError where none is free in time; whatever the driver raises when it connects.
        """
        while True:
            if self._idle:
                return self._idle.pop()
            if self.open < self._engines.rules.at_most:
                return await self._connect()
            waiting: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                async with asyncio.timeout(base.WAIT_S):
                    connection = await waiting
            except BaseException:
                if waiting.done() and not waiting.cancelled() and (given := waiting.result()) is not None:
                    self._give_back(given)  # it came at the last moment
                raise
            if connection is not None:
                return connection  # None: one was closed, and another may be opened

    async def _connect(self) -> Connection:
        self.open += 1
        try:
            return await connect(self._engines.reader, self._engines)
        except BaseException:
            self._note_closed()
            raise

    def _give_back(self, connection: Connection) -> None:
        waiting = self._next_waiting()
        if waiting is None:
            self._idle.append(connection)
        else:
            waiting.set_result(connection)

    def _discard(self, connection: Connection) -> None:
        """Close a connection in the background: SQLite finishes a running statement before it closes."""
        task = asyncio.get_running_loop().create_task(self._close(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, connection: Connection) -> None:
        try:
            await connection.sqlalchemy.invalidate()
            await connection.sqlalchemy.close()
        finally:
            self._note_closed()

    def _note_closed(self) -> None:
        self.open -= 1
        waiting = self._next_waiting()
        if waiting is not None:
            waiting.set_result(None)

    def _next_waiting(self) -> asyncio.Future[Connection | None] | None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                return waiting
        return None
