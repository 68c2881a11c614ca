"""All that is particular to PostgreSQL and PgBouncer and that SQLAlchemy does not hide.

Must not be here: statements about threads and messages; how functions are spelled (`functions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy.ext.asyncio import create_async_engine

from gateway.store.engines import base
from gateway.store.engines.base import Engines, run_on_connect
from gateway.store.engines.instrumentation import count_statements
from gateway.store.statement_cache import StatementCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy import URL, Connection

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
    """asyncpg, for single statements and for transactions."""

    is_local = False

    async def execute(self, connection: Any, text: str) -> None:
        """Run a statement without preparing it."""
        await connection.execute(text)

    def fetch(self, connection: Any, text: str, values: Any) -> Awaitable[Sequence[Any]]:
        """Run a statement, which is prepared the first time, and return its rows."""
        found: Awaitable[Sequence[Any]] = connection.fetch(text, *values)
        return found

    async def take(self, connection: Any, text: str, values: Any, take: Take[T]) -> T:
        """Run a statement and pass all its rows to a function."""
        return take(await self.fetch(connection, text, values))

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

    async def announce(self, connection: Any, topics: Iterable[Topic]) -> None:
        """Notify all processes; PostgreSQL sends that when the transaction commits, and only then."""
        payloads = [(CHANNEL, f"{project_id} {thread_id}") for project_id, thread_id in topics]
        if payloads:
            await self.run_many(connection, "SELECT pg_notify($1, $2)", payloads)

    async def lock_imports(self, connection: Any) -> None:
        """Take the advisory lock of imports."""
        await self.execute(connection, f"SELECT pg_advisory_xact_lock({_IMPORT_LOCK})")

    def lock_migrations(self, connection: Connection) -> None:
        """Take the advisory lock of migrations."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


class PooledPostgres(Postgres):
    """The same through a pooler that changes the connection with each transaction, so nothing stays prepared."""

    async def fetch(self, connection: Any, text: str, values: Any) -> Sequence[Any]:
        """Run a statement that is prepared for this one time."""
        prepared = await connection.prepare(text, name="")
        found: Sequence[Any] = await prepared.fetch(*values)
        return found


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
    driver = PooledPostgres() if is_pooled else Postgres()
    return Engines(reader, writer, driver, driver, StatementCache(reader.dialect), has_one_writer=False)
