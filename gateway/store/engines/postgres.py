"""All that is particular to PostgreSQL and PgBouncer and that SQLAlchemy does not hide.

Must not be here: statements about threads and messages; how functions are spelled (`functions`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.store.engines import base
from gateway.store.engines.base import ConnectionRules, Engines, run_on_connect
from gateway.store.engines.instrumentation import count_statements
from gateway.store.statement_cache import StatementCache

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from gateway.domain.change import Topic
    from gateway.store.engines.base import Take

T = TypeVar("T")

POOL: Final = 10  # connections of one process: those for single statements, and those for transactions
TRANSACTIONS: Final = 3
CHANNEL: Final = "gateway_changes"  # of NOTIFY
POOLER: Final = "pgbouncer"  # the URL parameter that names the mode of a PgBouncer between us and PostgreSQL
BY_TRANSACTION: Final = "transaction"  # the mode in which it assigns a connection to each transaction
_MIGRATION_LOCK: Final = 0x7468726561647300  # "threads\0": one migration at a time in a database
_IMPORT_LOCK: Final = _MIGRATION_LOCK + 1  # and one importing transaction


class Postgres:
    """PostgreSQL's implementation of `Database`."""

    async def announce(self, connection: AsyncConnection, topics: Iterable[Topic]) -> None:
        """Notify all processes; PostgreSQL sends that when the transaction commits, and only then."""
        payloads = [{"channel": CHANNEL, "payload": f"{project_id} {thread_id}"} for project_id, thread_id in topics]
        if payloads:
            await connection.execute(text("SELECT pg_notify(:channel, :payload)"), payloads)

    async def insert_rows(
        self, connection: AsyncConnection, table: str, columns: Sequence[str], values: Sequence[Sequence[Any]]
    ) -> None:
        """Insert many rows with COPY."""
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.copy_records_to_table(table, columns=columns, records=values)

    async def call_sqlite(self, connection: AsyncConnection, function: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return None: this is not SQLite."""

    def lock_migrations(self, connection: Connection) -> None:
        """Take the advisory lock of migrations."""
        _lock(connection, _MIGRATION_LOCK)

    def lock_imports(self, connection: Connection) -> None:
        """Take the advisory lock of imports."""
        _lock(connection, _IMPORT_LOCK)


def open_postgres(url: URL) -> Engines:
    """Create the engines of a PostgreSQL database; nothing is connected yet."""
    if "sslmode" in url.query:
        # libpq's parameter, which most hosts put into the URLs that they issue; asyncpg takes the same values as `ssl`.
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": url.query["sslmode"]})
    is_pooled = url.query.get(POOLER) == BY_TRANSACTION
    url = url.difference_update_query([POOLER]).set(drivername="postgresql+asyncpg")
    # A connection that changes with each transaction keeps no prepared statements. One without a name lasts until it
    # is run: the driver sends no Sync between, at which the pooler could change the connection, and none is left over.
    unnamed = {"statement_cache_size": 0, "prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
    shared: dict[str, Any] = {
        "max_overflow": 0,
        "pool_timeout": base.WAIT_S,
        "hide_parameters": True,
        "connect_args": unnamed if is_pooled else {},
    }
    readers = max(1, POOL - TRANSACTIONS)
    writer = create_async_engine(url, pool_size=min(TRANSACTIONS, POOL), **shared)
    reader = create_async_engine(url, pool_size=readers, isolation_level="AUTOCOMMIT", **shared)
    for engine in (writer, reader):
        count_statements(engine)
        if not is_pooled:
            # Our statements have one good plan each; by default the server plans a page again each time, which costs
            # more than a third of running it (measured: 100 microseconds of 380).
            run_on_connect(engine, "SET plan_cache_mode = force_generic_plan")
    fetch = _fetch_unnamed if is_pooled else _fetch
    rules = ConnectionRules(readers, fetch, partial(_take, fetch), _call, is_local=False)
    return Engines(reader, writer, Postgres(), rules, StatementCache(reader.dialect), has_one_writer=False)


def _lock(connection: Connection, key: int) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _fetch(driver: Any, statement: str, values: Any) -> Awaitable[Sequence[Any]]:
    found: Awaitable[Sequence[Any]] = driver.fetch(statement, *values)
    return found


async def _fetch_unnamed(driver: Any, statement: str, values: Any) -> Sequence[Any]:
    prepared = await driver.prepare(statement, name="")
    found: Sequence[Any] = await prepared.fetch(*values)
    return found


async def _take(
    fetch: Callable[[Any, str, Any], Awaitable[Sequence[Any]]], driver: Any, statement: str, values: Any, take: Take[T]
) -> T:
    return take(await fetch(driver, statement, values))


async def _call(driver: Any, function: Callable[[Any], Any]) -> Any:
    return await function(driver)
