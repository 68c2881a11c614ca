"""Every difference between SQLite and PostgreSQL that SQLAlchemy does not hide.

Must not be here: statements about threads and messages, which are the same on both; how functions are spelt in them
(`functions`).
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.errors import InvalidSetting
from gateway.observability.record import current
from gateway.store.engines.private_files import keep_database_private
from gateway.store.statement_cache import Shapes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import URL, Connection, Engine, ExceptionContext, ExecutionContext
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.pool import QueuePool

    from gateway.domain.change import Topic

    Take = Callable[[Iterable[Any]], "T"]  # what is made of rows as they come, perhaps not of all
    Ended = Callable[[BaseException | None], None]
    Begin = Callable[[str, str], Ended | None]  # the database's name and the statement; None where nobody waits

T = TypeVar("T")

READERS: Final = 4  # SQLite: threads that read side by side; more only wait for the interpreter's lock
POOL: Final = 10  # PostgreSQL: connections of one process: those for single statements, and those for transactions
TRANSACTIONS: Final = 3
WAIT_S: Final = 10.0  # how long a request waits for a connection, or for SQLite's writer, until it is told to retry
CHANNEL: Final = "gateway_changes"  # where PostgreSQL tells of changes
POOLER: Final = "pgbouncer"  # what a URL says where PgBouncer stands in front of PostgreSQL...
BY_TRANSACTION: Final = "transaction"  # ... and gives a connection to each transaction
_ENDED: Final = "gateway.ended"  # where a connection keeps what waits for its statement's end
_MIGRATION_LOCK: Final = 0x7468726561647300  # "threads\0": one migration at a time in a PostgreSQL database
_IMPORT_LOCK: Final = _MIGRATION_LOCK + 1  # and one importing transaction
_IMPORT_CACHE_KB: Final = 16_000


# The connection broke; deadlock; out of connections, memory or disk; going down or coming up.
# Source: PostgreSQL, "PostgreSQL Error Codes", by class.
_MOMENTARY_STATES: Final = ("08", "40", "53", "57P")
# Source: SQLite, "Result and Error Codes", the primary ones.
_MOMENTARY_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


@dataclass(frozen=True, slots=True)
class LaneRules:
    """How many connections for single statements there may be, and how the driver of one is called.

    `fetch` runs a statement, and `take` gives a function its rows, one by one where they come so; `call` lets a
    function use the database's own connection, which is `local` where several statements there take no longer than
    their work.
    """

    at_most: int
    fetch: Callable[[Any, str, Any], Awaitable[Sequence[Any]]]
    take: Callable[[Any, str, Any, Take[Any]], Awaitable[Any]]
    call: Callable[[Any, Callable[[Any], Any]], Awaitable[Any]]
    is_local: bool


@dataclass(frozen=True, slots=True)
class Engines:
    """The connections of one database: readers run single statements, a writer runs transactions."""

    reader: AsyncEngine
    writer: AsyncEngine
    announce: Callable[[AsyncConnection, Iterable[Topic]], Awaitable[None]]
    rules: LaneRules
    shapes: Shapes
    has_one_writer: bool

    def writers(self) -> QueuePool:
        """Give the pool of those that run transactions."""
        return cast("QueuePool", self.writer.pool)

    async def dispose(self) -> None:
        """Close all connections; the writer last, so that it is the one to check SQLite's log in."""
        await self.reader.dispose()
        await self.writer.dispose()


def open_engines(url: str) -> Engines:
    """Make the engines for a database URL; nothing is connected yet.

    Errors: InvalidSetting where the URL is of another database.
    """
    parsed = make_url(url)
    opener = _OPENERS.get(parsed.get_backend_name())
    if opener is None:
        raise InvalidSetting(f"expected a URL of sqlite or postgresql, but got {parsed.get_backend_name()!r}")
    return opener(parsed)


def migrates_itself(url: str) -> bool:
    """Say whether a server may migrate this database when it starts: only the one that nobody else serves."""
    return make_url(url).get_backend_name() == "sqlite"


def url_to_listen_at(database_url: str, listen_url: str) -> str:
    """Choose where PostgreSQL is listened to: LISTEN lasts as long as its connection, so no pooler may stand between.

    Errors: InvalidSetting where nobody has said how to get past the pooler.
    """
    if not listen_url and make_url(database_url).query.get(POOLER) == BY_TRANSACTION:
        raise InvalidSetting(
            "GATEWAY_LISTEN_URL: expected the address of PostgreSQL itself, since followers cannot be told of changes "
            "through a PgBouncer in transaction mode"
        )
    return listen_url or database_url


def can_lose_commits() -> bool:
    """Say whether this Python's SQLite is one of those that several processes must not write with.

    SQLite 3.7.0 to 3.51.2 can lose commits when two processes check the log in at the same time; the fix is also in
    3.50.7 and 3.44.6.
    """
    version = sqlite3.sqlite_version_info
    return not (version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45))


def refuse_several_processes(url: str) -> None:
    """Refuse to let several processes serve a database that does not stand it.

    Errors: InvalidSetting.
    """
    if not migrates_itself(url) or not can_lose_commits():
        return
    message = (
        f"GATEWAY_WORKERS: expected 1, since SQLite {sqlite3.sqlite_version} can lose messages when several processes "
        "write. Use PostgreSQL, or a Python with SQLite 3.51.3 or later."
    )
    raise InvalidSetting(message)


def is_momentary(error: BaseException) -> bool:
    """Say whether the same statement may succeed later; what is wrong with the statement itself never does.

    The error is SQLAlchemy's, or the driver's own where a statement was run by it directly.
    """
    told = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(told, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _MOMENTARY_CODES
    if isinstance(error, OSError | PoolTimeoutError) or getattr(error, "connection_invalidated", False):
        return True
    state = getattr(told, "sqlstate", None) or ""
    # Each driver, and SQLAlchemy, has a class of this name for a connection that is not one any more.
    return type(error).__name__ == "InterfaceError" or state.startswith(_MOMENTARY_STATES)


def keeps_connection(error: BaseException) -> bool:
    """Say whether a connection can still be used after an error: not where it broke, or is still at work."""
    return isinstance(error, Exception) and not is_momentary(error)


class Heard:
    """Lets those who listen to statements hear of one that the driver runs directly, as of all others."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._events: Any = connection.dispatch
        self._of_engine: Any = connection.engine.dispatch
        self._is_told = False

    def begin(self, statement: str, values: Any) -> tuple[str, Any]:
        """Tell that a statement begins; who listens may put another in its place."""
        # To go through SQLAlchemy's listeners takes longer than all else here, and there is mostly the one that counts.
        self._is_told = self._is_watched()
        if not self._is_told:
            count_statement()
            return statement, values
        for listen in self._events.before_cursor_execute:
            statement, values = listen(self._connection, None, statement, values, _PREPARED, False)
        return statement, values

    def together(self, steps: Sequence[tuple[str, Any]]) -> AbstractContextManager[None]:
        """Tell of several statements that are handed over at once and run in the block."""
        if self._is_watched():
            return heard_together(self._connection.engine, steps)
        for _ in steps:
            count_statement()
        return _UNHEARD

    def _is_watched(self) -> bool:
        before, after = self._of_engine.before_cursor_execute, self._of_engine.after_cursor_execute
        others = after.listeners or before.parent_listeners or after.parent_listeners
        return bool(others) or len(before.listeners) > 1

    def end(self, statement: str, values: Any) -> None:
        """Tell that it has ended."""
        if self._is_told:
            for listen in self._events.after_cursor_execute:
                listen(self._connection, None, statement, values, _PREPARED, False)

    def fail(self, error: BaseException) -> None:
        """Tell that it has failed, or was given up."""
        if ended := self._connection.info.pop(_ENDED, None):
            ended(error)


@contextmanager
def heard_together(own: Engine, steps: Sequence[tuple[str, Any]]) -> Iterator[None]:
    """Let the same hear of statements that are handed over and run beside those of others, as long as the block."""
    told = [Heard(SimpleNamespace(engine=own, dispatch=own.dispatch, dialect=own.dialect, info={})) for _ in steps]
    for heard, (statement, values) in zip(told, steps, strict=True):
        heard.begin(statement, values)
    try:
        yield
    except BaseException as error:
        for heard in told:
            heard.fail(error)
        raise
    for heard, (statement, values) in zip(told, steps, strict=True):
        heard.end(statement, values)


def count_statement() -> None:
    """Note a statement on the request that runs."""
    if record := current.get():
        record.statements += 1


_UNHEARD: Final = nullcontext()
_PREPARED: Final = SimpleNamespace(compiled=True)  # an execution context, as far as anybody looks at it


async def insert_rows(
    connection: AsyncConnection, table: str, columns: Sequence[str], values: Sequence[Sequence[Any]]
) -> None:
    """Insert many rows by one call of the driver, within the transaction that the connection is in."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if connection.dialect.name == "postgresql":
        await driver.copy_records_to_table(table, columns=columns, records=values)
    else:
        places = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608  (our own names)
        await driver.executemany(statement, values)


async def call_sqlite(connection: AsyncConnection, work: Callable[[sqlite3.Connection], T]) -> T | None:
    """Let a function use SQLite's own connection, within the transaction that it is in; elsewhere it is not called."""
    if connection.dialect.name != "sqlite":
        return None
    driver: Any = (await connection.get_raw_connection()).driver_connection
    result: T = await _call_sqlite(driver, work)
    return result


def lock_migrations(connection: Connection) -> None:
    """Wait until no other migration of this database runs, and hold others off until the transaction ends."""
    _lock(connection, _MIGRATION_LOCK)


def lock_imports(connection: Connection) -> None:
    """Wait until no other import writes to this database, and hold others off until the transaction ends.

    SQLite's cache grows for it: each message has a random place in the index of ids, and with the usual 2 MB the pages
    of that are read and written again and again (measured: a third of the time that inserts take).
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA cache_size = -{_IMPORT_CACHE_KB}")
    _lock(connection, _IMPORT_LOCK)


def _lock(connection: Connection, key: int) -> None:
    # SQLite needs none: a transaction that writes holds its one writer from the beginning.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _open_sqlite(url: URL) -> Engines:
    # One connection writes: SQLite has one writer anyhow, waiting in our queue is fair, and with a second one
    # SQLite before 3.51.3 could lose commits when both check the log in (its "WAL-reset" fault).
    url = url.set(drivername="sqlite+aiosqlite")
    shared: dict[str, Any] = {
        "pool_timeout": WAIT_S,
        "hide_parameters": True,
        "connect_args": {"isolation_level": None, "timeout": WAIT_S},
    }
    writer = create_async_engine(url, pool_size=1, max_overflow=0, **shared)
    reader = create_async_engine(
        url,
        pool_size=READERS,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        **shared,
    )
    # The journal mode is kept in the file; FULL is what makes an acknowledged message survive a power cut.
    _on_connect(writer, "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON")
    _on_connect(reader, "PRAGMA query_only = ON")
    _count_statements(writer)
    _count_statements(reader)
    keep_database_private(writer, is_writer=True)
    keep_database_private(reader, is_writer=False)

    @event.listens_for(writer.sync_engine, "do_connect")
    def try_file(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
        # Where aiosqlite cannot open a file, its thread reports once more to the event loop, without anybody who waits
        # for that; when a program then ends, the loop may be gone, and a traceback follows our message.
        sqlite3.connect(*arguments, **options).close()

    @event.listens_for(writer.sync_engine, "begin")
    def begin_write(connection: Connection) -> None:
        # A deferred transaction would fail, instead of wait, when another process writes between its read and write.
        if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    rules = LaneRules(READERS, _fetch_sqlite, _take_sqlite, _call_sqlite, is_local=True)
    return Engines(reader, writer, _announce_nothing, rules, Shapes(reader.dialect), has_one_writer=True)


def _fetch_sqlite(driver: Any, statement: str, values: Any) -> Awaitable[Sequence[Any]]:
    found: Awaitable[Sequence[Any]] = driver.execute_fetchall(statement, values)  # one hop to its thread and back
    return found


def run_each(steps: Iterable[tuple[str, Any]], connection: sqlite3.Connection) -> list[list[Any]]:
    """Run statements one after the other on SQLite's own connection; give the rows of each."""
    return [connection.execute(text, values).fetchall() for text, values in steps]


def take_each(steps: Iterable[tuple[str, Any, Take[Any]]], connection: sqlite3.Connection) -> list[Any]:
    """Run statements one after the other on SQLite's own connection; give what is taken of the rows of each."""
    return [_taken(statement, values, take, connection) for statement, values, take in steps]


def _taken(statement: str, values: Any, take: Take[T], connection: sqlite3.Connection) -> T:
    rows = connection.execute(statement, values)
    try:
        return take(rows)
    finally:
        rows.close()  # what is not read to its end would go on to see this moment of the file


def _take_sqlite(driver: Any, statement: str, values: Any, take: Take[T]) -> Awaitable[T]:
    return _call_sqlite(driver, partial(_taken, statement, values, take))


async def _call_sqlite(driver: Any, work: Callable[[Any], Any]) -> Any:
    """Do several things in one hop to the connection's thread, for which aiosqlite has no public name."""
    return await driver._execute(work, driver._conn)  # noqa: SLF001


def _on_connect(engine: AsyncEngine, *statements: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        connection.commit()


def _count_statements(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def count(_connection: object, _cursor: object, _text: str, _values: object, *rest: Any) -> None:
        context: ExecutionContext = rest[0]
        # Where nothing was compiled, a transaction begins; that is SQLite's way of it and no statement of ours.
        if context.compiled is not None:
            count_statement()


def watch_statements(engines: Engines, begin: Begin) -> None:
    """Call `begin` as each statement of ours begins, and what that gives back as it ends, with its error if any."""
    for engine in (engines.reader, engines.writer):
        _watch_statements(engine, begin)


def _watch_statements(engine: AsyncEngine, begin: Begin) -> None:
    # A connection runs one statement at a time, so it can keep what waits for the end.
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def begin_it(connection: Connection, _cursor: object, statement: str, _values: object, *rest: Any) -> None:
        context: ExecutionContext = rest[0]
        if context.compiled is not None:
            connection.info[_ENDED] = begin(connection.dialect.name, statement)

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def end_it(connection: Connection, *_rest: object) -> None:
        if ended := connection.info.pop(_ENDED, None):
            ended(None)

    @event.listens_for(engine.sync_engine, "handle_error")
    def fail_it(failed: ExceptionContext) -> None:
        if failed.connection and (ended := failed.connection.info.pop(_ENDED, None)):
            ended(failed.original_exception)


def _open_postgres(url: URL) -> Engines:
    if "sslmode" in url.query:
        # libpq's word, which most hosts put into the URLs that they hand out; asyncpg takes the same values as `ssl`.
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": url.query["sslmode"]})
    is_pooled = url.query.get(POOLER) == BY_TRANSACTION
    url = url.difference_update_query([POOLER]).set(drivername="postgresql+asyncpg")
    # A connection that changes with each transaction keeps no prepared statements. One without a name lasts until it
    # is run: the driver sends no Sync between, at which the pooler could change the connection, and none is left over.
    unnamed = {"statement_cache_size": 0, "prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
    shared: dict[str, Any] = {
        "max_overflow": 0,
        "pool_timeout": WAIT_S,
        "hide_parameters": True,
        "connect_args": unnamed if is_pooled else {},
    }
    writer = create_async_engine(url, pool_size=min(TRANSACTIONS, POOL), **shared)
    lanes = max(1, POOL - TRANSACTIONS)
    reader = create_async_engine(url, pool_size=lanes, isolation_level="AUTOCOMMIT", **shared)
    for engine in (writer, reader):
        _count_statements(engine)
        if not is_pooled:
            # Our statements have one good plan each; left to itself the server plans a page anew each time, which
            # costs more than a third of running it (measured: 100 microseconds of 380).
            _on_connect(engine, "SET plan_cache_mode = force_generic_plan")
    fetch = _fetch_unnamed if is_pooled else _fetch_postgres
    rules = LaneRules(lanes, fetch, partial(_take_fetched, fetch), _call_postgres, is_local=False)
    return Engines(reader, writer, _notify, rules, Shapes(reader.dialect), has_one_writer=False)


def _fetch_postgres(driver: Any, statement: str, values: Any) -> Awaitable[Sequence[Any]]:
    found: Awaitable[Sequence[Any]] = driver.fetch(statement, *values)
    return found


async def _take_fetched(
    fetch: Callable[[Any, str, Any], Awaitable[Sequence[Any]]], driver: Any, statement: str, values: Any, take: Take[T]
) -> T:
    return take(await fetch(driver, statement, values))


async def _call_postgres(driver: Any, work: Callable[[Any], Any]) -> Any:
    return await work(driver)


async def _fetch_unnamed(driver: Any, statement: str, values: Any) -> Sequence[Any]:
    prepared = await driver.prepare(statement, name="")
    found: Sequence[Any] = await prepared.fetch(*values)
    return found


async def _announce_nothing(_connection: AsyncConnection, _topics: Iterable[Topic]) -> None:
    """SQLite has no way to tell other processes; they look whether the file has changed (`events.polling`)."""


async def _notify(connection: AsyncConnection, topics: Iterable[Topic]) -> None:
    """Tell all processes of a change; PostgreSQL does so when the transaction commits, and not if it does not."""
    told = [{"channel": CHANNEL, "payload": f"{project_id} {thread_id}"} for project_id, thread_id in topics]
    if told:
        await connection.execute(text("SELECT pg_notify(:channel, :payload)"), told)


_OPENERS: Final[dict[str, Callable[[URL], Engines]]] = {"sqlite": _open_sqlite, "postgresql": _open_postgres}
