"""All that is particular to PostgreSQL and PgBouncer and that SQLAlchemy does not hide.

Must not be here: statements about threads and messages; how functions are spelled (`functions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from gateway.store.engines import base
from gateway.store.engines.async_engine import create_async_engine
from gateway.store.engines.base import Engines, Timeouts
from gateway.store.engines.watchers import Watchers
from gateway.store.statement_cache import StatementCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from gateway.settings.database_url import PostgresUrl
    from gateway.store.engines.base import Take
    from gateway.store.engines.postgres_connector import Connector

T = TypeVar("T")

READS: Final = 6  # connections of one process that read, and those that write; neither waits for the others
WRITES: Final = 7
_DRIVER: Final = "postgresql+asyncpg://"  # the rest of the URL is read by `settings.database_url`
_MARGIN_S: Final = 2.0  # for the server's own time-outs to arrive
_MIGRATION_LOCK: Final = 0x7468726561647300  # "threads\0": one migration at a time in a database
_IMPORT_LOCK: Final = _MIGRATION_LOCK + 1  # and one importing transaction
# A connection may wait for long, above all the one that listens.
NEVER_IDLE: Final = (
    "SELECT set_config('idle_session_timeout', '0', false) WHERE current_setting('server_version_num')::int >= 140000"
)


class Postgres:
    """asyncpg, for single statements and for transactions."""

    is_sqlite = False

    async def execute(self, connection: Any, text: str) -> None:
        """Run a statement without preparing it."""
        await connection.execute(text)

    async def take(self, connection: Any, text: str, values: Any, take: Take[T]) -> T:
        """Run a statement, which is prepared the first time, and return what a function takes of all its rows."""
        return take(await connection.fetch(text, *values))

    async def call(self, connection: Any, function: Callable[[Any], Any]) -> Any:
        """Await a function of the driver's connection."""
        return await function(connection)

    async def run_many(self, connection: Any, text: str, each: Sequence[Any]) -> None:
        """Run a statement for each of many sequences of values."""
        await connection.executemany(text, each)

    async def insert_rows(
        self, connection: Any, table: str, columns: Sequence[str], values: Sequence[Sequence[Any]]
    ) -> None:
        """Insert many rows with COPY."""
        await connection.copy_records_to_table(table, columns=columns, records=values)

    async def lock_imports(self, connection: Any) -> None:
        """Take the advisory lock of imports."""
        await self.execute(connection, f"SELECT pg_advisory_xact_lock({_IMPORT_LOCK})")

    def lock_migrations(self, connection: Connection) -> None:
        """Take the advisory lock of migrations."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


class PooledPostgres(Postgres):
    """The same through a pooler that changes the connection with each transaction, so nothing stays prepared."""

    async def take(self, connection: Any, text: str, values: Any, take: Take[T]) -> T:
        """Run a statement that is prepared for this one time."""
        prepared = await connection.prepare(text, name="")
        return take(await prepared.fetch(*values))


def open_postgres(url: PostgresUrl, timeouts: Timeouts | None = None) -> Engines:
    """Create the engines of a PostgreSQL database; nothing is connected yet."""
    connect = connector(url) if url.by_transaction else connector(url, *_begin(timeouts))
    # A statement without a name lasts until it is run: the driver sends no Sync in between, at which a pooler could
    # change the connection, and none is left over.
    unnamed = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
    shared: dict[str, Any] = {
        "max_overflow": 0,
        "pool_timeout": base.WAIT_S,
        "hide_parameters": True,
        "connect_args": {"async_creator_fn": connect, **(unnamed if url.by_transaction else {})},
    }
    writer = create_async_engine(_DRIVER, pool_size=WRITES, **shared)
    reader = create_async_engine(_DRIVER, pool_size=READS + 1, isolation_level="AUTOCOMMIT", **shared)
    driver = PooledPostgres() if url.by_transaction else Postgres()
    statements, watchers = StatementCache(reader.dialect), Watchers(reader.dialect.name)
    longest_s = timeouts.statement_s + timeouts.idle_transaction_s + _MARGIN_S if timeouts else float("inf")
    return Engines(
        reader,
        writer,
        driver,
        driver,
        statements,
        watchers,
        longest_s=longest_s,
        begin_snapshot="BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    )


def _begin(timeouts: Timeouts | None) -> Iterator[str]:
    """Write the first statements of each connection; without time-outs those of the role are lifted."""
    # Our statements have one good plan each; by default the server plans a page again each time, which costs more than
    # a third of running it (measured: 100 microseconds of 380).
    yield "SET plan_cache_mode = force_generic_plan"
    # A page of a long list takes 0.3 ms; to begin workers for it takes 14 (measured at 1,000,000 threads).
    yield "SET max_parallel_workers_per_gather = 0"
    # A writer that waited for a lock has to see what its holder wrote, whatever the default of the role is.
    yield "SET default_transaction_isolation = 'read committed'"
    given = timeouts or Timeouts(0, 0, 0)
    yield f"SET lock_timeout = {given.lock_s * 1000:.0f}"
    yield f"SET statement_timeout = {given.statement_s * 1000:.0f}"
    yield f"SET idle_in_transaction_session_timeout = {given.idle_transaction_s * 1000:.0f}"
    # A client that stops between the parts of a statement is not idle to PostgreSQL; only this ends its transaction.
    whole = f"{(given.statement_s + given.idle_transaction_s) * 1000:.0f}"
    since_17 = "current_setting('server_version_num')::int >= 170000"
    yield f"SELECT set_config('transaction_timeout', '{whole}', false) WHERE {since_17}"
    yield NEVER_IDLE
    alive_s = max(1, round(given.keepalive_s))
    yield f"SET tcp_keepalives_idle = {alive_s}"
    yield f"SET tcp_keepalives_interval = {max(1, alive_s // 3)}"
    yield "SET tcp_keepalives_count = 3"


def connector(url: PostgresUrl, *first: str) -> Connector:
    """Return what opens connections of a URL, each of which begins with some statements."""
    from gateway.store.engines.postgres_connector import Connector  # noqa: PLC0415  (SQLite needs no driver of PostgreSQL)

    return Connector(url, *first)
