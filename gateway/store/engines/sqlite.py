"""All that is particular to SQLite and that SQLAlchemy does not hide.

Must not be here: statements about threads and messages; how functions are spelled (`functions`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Select, event, func

from gateway.errors import InvalidSetting
from gateway.store.engines import base
from gateway.store.engines.async_engine import create_async_engine
from gateway.store.engines.base import Engines
from gateway.store.engines.watchers import Watchers
from gateway.store.files.private_files import keep_database_private
from gateway.store.statement_cache import StatementCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy import URL, Connection, Executable
    from sqlalchemy.ext.asyncio import AsyncEngine

    from gateway.store.engines.base import Take

T = TypeVar("T")

OLDEST: Final = (3, 39)  # IS DISTINCT FROM, in triggers that databases have; RETURNING needs 3.35
_PACKED: Final = "SELECT packed("
_FEW: Final = 4  # columns, below which the function does not pay
READERS: Final = 4  # threads that read at once; more would only wait for the interpreter's lock
_IMPORT_CACHE_KB: Final = 16_000
_IMPORT_LOG_PAGES: Final = 8_000  # 32 MB
_STEPS: Final = 20_000  # steps of SQLite's virtual machine, a few milliseconds, between checks for an interruption


class PackingConnection(sqlite3.Connection):
    """SQLite's connection with a function of SQL that takes a whole row, and returns its place in a list.

    The driver releases the interpreter's lock and takes SQLite's for each column of a row, but not for each argument of
    a function.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        rows = self.packed = list[tuple[Any, ...]]()

        def packed(*row: Any) -> int:
            rows.append(row)
            return len(rows) - 1

        self.create_function(packed.__name__, -1, packed)


def pack(statement: Executable) -> Executable:
    """Have a statement of many columns return each row by the function of `PackingConnection`."""
    if not isinstance(statement, Select) or len(columns := [*statement.inner_columns]) <= _FEW:
        return statement
    return statement.with_only_columns(func.packed(*columns))


class Sqlite:
    """aiosqlite: each call is one hop to the connection's thread and back."""

    is_sqlite = True

    async def execute(self, connection: Any, text: str) -> None:
        """Run a statement without values."""
        await self.take(connection, text, (), list)

    def take(self, connection: Any, text: str, values: Any, take: Take[T]) -> Awaitable[T]:
        """Run a statement and return what a function takes from its rows."""
        return self.call(connection, partial(_taken, text, values, take))

    def call(self, connection: Any, function: Callable[[Any], Any]) -> asyncio.Future[Any]:
        """Call a function in the connection's thread, as aiosqlite does, without a coroutine for each call."""
        done = asyncio.get_running_loop().create_future()
        connection._tx.put_nowait((done, partial(function, connection._conn)))  # noqa: SLF001
        return done


class SqliteInThread:
    """SQLite's own connection within its thread, in which a whole transaction runs: nothing here waits.

    It needs no locks of its own: a transaction that writes holds SQLite's one writer from its beginning.
    """

    is_sqlite = True

    async def execute(self, connection: sqlite3.Connection, text: str) -> None:
        """Run a statement without values."""
        connection.execute(text)

    async def take(self, connection: PackingConnection, text: str, values: Any, take: Take[T]) -> T:
        """Run a statement and return what a function takes from its rows."""
        return _taken(text, values, take, connection)

    async def call(self, connection: sqlite3.Connection, function: Callable[[Any], Any]) -> Any:
        """Call a function with the connection."""
        return function(connection)

    async def run_many(self, connection: sqlite3.Connection, text: str, each: Sequence[Any]) -> None:
        """Run a statement for each of many sequences of values."""
        connection.executemany(text, each)

    async def insert_rows(
        self, connection: sqlite3.Connection, table: str, columns: Sequence[str], values: Sequence[Sequence[Any]]
    ) -> None:
        """Insert many rows."""
        placeholders = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({placeholders})"  # noqa: S608  (our own names)
        connection.executemany(statement, values)

    async def lock_imports(self, connection: sqlite3.Connection) -> None:
        """Enlarge the cache and the log for an import.

        Each message has a random place in the index of ids, and with the usual 2 MB its pages are read and written
        repeatedly (measured: a third of the time of inserts). A checkpoint after each commit would wait for the disk
        twice more.
        """
        connection.execute(f"PRAGMA cache_size = -{_IMPORT_CACHE_KB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_IMPORT_LOG_PAGES}")

    def lock_migrations(self, connection: Connection) -> None:
        """Do nothing: the transaction holds the writer."""


def open_sqlite(url: URL) -> Engines:
    """Create the engines of a SQLite database; nothing is connected yet.

    Errors: InvalidSetting where this Python's SQLite is too old.
    """
    refuse_old_version()
    # One connection writes: SQLite has one writer anyway, waiting in our queue is fair, and with a second one
    # SQLite before 3.51.3 could lose commits when both checkpoint the log (its "WAL-reset" bug).
    url = url.set(drivername="sqlite+aiosqlite")
    shared: dict[str, Any] = {
        "pool_timeout": base.WAIT_S,
        "hide_parameters": True,
        "connect_args": {"isolation_level": None, "timeout": base.WAIT_S, "factory": PackingConnection},
    }
    writer = create_async_engine(url, pool_size=1, max_overflow=0, **shared)
    reader = create_async_engine(
        url,
        pool_size=READERS + 1,  # one for the probe
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        **shared,
    )
    # The journal mode is kept in the file; FULL is what makes an acknowledged message survive a power cut; and what is
    # deleted is overwritten.
    options = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON")
    _run_on_connect(writer, *(f"PRAGMA {each}" for each in options))
    _run_on_connect(reader, "PRAGMA query_only = ON")
    keep_database_private(writer, is_writer=True)
    keep_database_private(reader, is_writer=False)
    event.listen(reader.sync_engine, "connect", _end_when_given_up)

    event.listen(writer.sync_engine, "do_connect", _try_file)
    event.listen(writer.sync_engine, "begin", _begin_write)
    statements, watchers = StatementCache(reader.dialect, pack), Watchers(reader.dialect.name)
    folder = Path(url.database or "").absolute().parent
    return Engines(reader, writer, Sqlite(), SqliteInThread(), statements, watchers, folder=folder)


def _run_on_connect(engine: AsyncEngine, *statements: str) -> None:
    """Run statements on each new connection of an engine."""

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        connection.commit()


def _try_file(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
    # If aiosqlite cannot open a file, its thread reports to the event loop once more after the caller has its error;
    # in a program that ends there, the loop may be closed, and a traceback follows our message.
    sqlite3.connect(*arguments, **options).close()


def _end_when_given_up(connection: Any, _record: object) -> None:
    # `interrupt` would miss a statement that begins a moment later, and so would run to its end.
    driver = connection.driver_connection
    driver.is_given_up = given_up = Event()
    connection.run_async(lambda _driver: driver.set_progress_handler(given_up.is_set, _STEPS))


def _begin_write(connection: Connection) -> None:
    # A deferred transaction would fail, instead of wait, when another process writes between its read and write.
    if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def refuse_old_version() -> None:
    """Refuse a SQLite that does not know all of our statements.

    Errors: InvalidSetting.
    """
    if sqlite3.sqlite_version_info >= OLDEST:
        return
    oldest = ".".join(map(str, OLDEST))
    message = (
        f"GATEWAY_DATABASE_URL: expected SQLite {oldest} or later, and this Python has {sqlite3.sqlite_version}. "
        f"Use PostgreSQL, or a Python with SQLite {oldest} or later."
    )
    raise InvalidSetting(message)


def can_lose_commits() -> bool:
    """Say whether this Python's SQLite can lose commits of several processes that write.

    SQLite 3.7.0 to 3.51.2 can lose commits when two processes checkpoint the log at the same time; the fix is also in
    3.50.7 and 3.44.6.
    """
    version = sqlite3.sqlite_version_info
    return not (version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45))


def take_each(queries: Iterable[tuple[str, Any, Take[Any]]], connection: PackingConnection) -> list[Any]:
    """Run statements one after the other on SQLite's own connection; return what is taken from the rows of each."""
    return [_taken(statement, values, take, connection) for statement, values, take in queries]


def _taken(statement: str, values: Any, take: Take[T], connection: PackingConnection) -> T:
    rows = connection.execute(statement, values)
    try:
        if not statement.startswith(_PACKED):
            return take(rows)
        return take(map(connection.packed.__getitem__, chain.from_iterable(rows)))
    finally:
        rows.close()  # an unfinished statement would keep its snapshot of the file
        connection.packed.clear()
