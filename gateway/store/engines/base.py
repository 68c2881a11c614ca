"""The interface that each database implements, and the engines that it opens.

Must not be here: anything of one database (`sqlite`, `postgres`), which one a URL names (`open`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from sqlalchemy import event

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
    from sqlalchemy.pool import QueuePool

    from gateway.domain.change import Topic
    from gateway.store.statement_cache import StatementCache

    Take = Callable[[Iterable[Any]], "T"]  # reads rows as they arrive, and may stop before the last one

T = TypeVar("T")

WAIT_S: Final = 10.0  # how long a request waits for a connection, or for SQLite's writer, before it gets a 503


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """How many connections run single statements, and how to call the driver of one.

    `fetch` runs a statement and returns its rows; `take` passes the rows to a function, one by one where the driver
    allows; `call` passes the driver's connection to a function. `is_local` is true where the database runs in this
    process, so several statements cost no round trip.
    """

    at_most: int
    fetch: Callable[[Any, str, Any], Awaitable[Sequence[Any]]]
    take: Callable[[Any, str, Any, Take[Any]], Awaitable[Any]]
    call: Callable[[Any, Callable[[Any], Any]], Awaitable[Any]]
    is_local: bool


class Database(Protocol):
    """What the two databases do in different ways within a transaction."""

    async def announce(self, connection: AsyncConnection, topics: Iterable[Topic]) -> None:
        """Notify other processes of changes when the transaction commits, where the database can do that."""

    async def insert_rows(
        self, connection: AsyncConnection, table: str, columns: Sequence[str], values: Sequence[Sequence[Any]]
    ) -> None:
        """Insert many rows by one call of the driver."""

    async def call_sqlite(self, connection: AsyncConnection, function: Callable[[sqlite3.Connection], T]) -> T | None:
        """Call a function with SQLite's own connection; other databases return None without a call."""

    def lock_migrations(self, connection: Connection) -> None:
        """Wait for the migration that runs on this database, and block others until the transaction ends."""

    def lock_imports(self, connection: Connection) -> None:
        """Wait for the import that runs on this database, and block others until the transaction ends."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The connections of one database: readers run single statements, a writer runs transactions."""

    reader: AsyncEngine
    writer: AsyncEngine
    database: Database
    rules: ConnectionRules
    statements: StatementCache
    has_one_writer: bool

    def writers(self) -> QueuePool:
        """Return the pool of connections that run transactions."""
        return cast("QueuePool", self.writer.pool)

    async def dispose(self) -> None:
        """Close all connections; the writer last, so that it is the one to checkpoint SQLite's log."""
        await self.reader.dispose()
        await self.writer.dispose()


def run_on_connect(engine: AsyncEngine, *statements: str) -> None:
    """Run statements on each new connection of an engine."""

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        connection.commit()
