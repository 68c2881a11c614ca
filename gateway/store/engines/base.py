"""The interface that the driver of each database implements, and the engines that it opens.

Must not be here: anything of one database (`sqlite`, `postgres`), which one a URL names (`open`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import QueuePool

    from gateway.store.engines.watchers import Watchers
    from gateway.store.statement_cache import StatementCache

    Take = Callable[[Iterable[Any]], "T"]  # reads rows as they arrive, and may stop before the last one

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The time-outs, in seconds, after which PostgreSQL ends what a server's connections do; commands have none.

    A writer waits for a row's lock in two steps, first for its turn among the waiting ones: so up to twice `lock_s`.
    """

    lock_s: float = 1.0
    statement_s: float = 15.0
    idle_transaction_s: float = 5.0
    keepalive_s: float = 10.0


# How long a request waits for its turn and a connection together, or for SQLite's writer, before it gets a 503.
WAIT_S: Final = 10.0


def wait_until() -> float:
    """Return the time of the loop until which a caller that begins to wait now may wait."""
    return asyncio.get_running_loop().time() + WAIT_S


class Driver(Protocol):
    """Runs statements over connections of one driver."""

    is_sqlite: bool

    async def execute(self, connection: Any, text: str) -> None:
        """Run a statement without values and rows, such as those that begin and end transactions."""

    def take(self, connection: Any, text: str, values: Any, take: Take[T]) -> Awaitable[T]:
        """Run a statement and return what a function takes from its rows, as they arrive where the database can."""

    def call(self, connection: Any, function: Callable[[Any], Any]) -> Awaitable[Any]:
        """Call a function with the driver's own connection."""


class TransactionDriver(Driver, Protocol):
    """The same for connections that run transactions."""

    async def run_many(self, connection: Any, text: str, each: Sequence[Any]) -> None:
        """Run a statement for each of many sequences of values, by one call of the driver."""

    async def insert_rows(
        self, connection: Any, table: str, columns: Sequence[str], values: Sequence[Sequence[Any]]
    ) -> None:
        """Insert many rows by one call of the driver."""

    async def lock_imports(self, connection: Any) -> None:
        """Wait for the import that runs on this database, and block others until the transaction ends."""

    def lock_migrations(self, connection: Connection) -> None:
        """Wait for the migration that runs on this database, and block others until the transaction ends."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The connections of one database: readers run single statements, a writer runs transactions."""

    reader: AsyncEngine
    writer: AsyncEngine
    driver: Driver
    transaction_driver: TransactionDriver
    statements: StatementCache
    watchers: Watchers
    folder: Path | None = None  # of the file, where the database is one
    longest_s: float = float("inf")  # the longest time that a server keeps a connection busy
    begin_snapshot: str = "BEGIN"  # begins a transaction in which all reads see the same snapshot

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite, which has one writer, in this process; else it is PostgreSQL."""
        return self.driver.is_sqlite

    def connections_at_most(self) -> Mapping[str, int]:
        """Say how many connections each pool may have."""
        pools = {"writer": self.writer.pool, "reader": self.reader.pool}
        sizes = {name: cast("QueuePool", pool).size() for name, pool in pools.items()}
        return {"writer": sizes["writer"], "reader": sizes["reader"] - 1}  # one is left for the probe

    async def dispose(self) -> None:
        """Close all connections; the writer last, so that it is the one to checkpoint SQLite's log."""
        await self.reader.dispose()
        await self.writer.dispose()
