"""Transactions of PostgreSQL, which run concurrently: when each begins, is committed and rolled back.

Must not be here: what is written (`writes`), SQLite, whose transactions run one after the other (`group_commit`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gateway.store.engines.errors import is_usable_after

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.store.connections import ConnectionPool, TransactionConnection

T = TypeVar("T")


class Transactions:
    """Runs each transaction over a connection of its own."""

    def __init__(self, pool: ConnectionPool[TransactionConnection]) -> None:
        self._pool = pool

    @property
    def in_use(self) -> int:
        """How many connections are in use."""
        return self._pool.in_use

    async def run(self, work: Callable[[TransactionConnection], Awaitable[T]], until: float | None = None) -> T:
        """Run a transaction: committed when its function returns, rolled back when that raises.

        Errors: TimeoutError where no connection is free in time; whatever the driver says.
        """
        connection = self._pool.acquire_idle() or await self._pool.acquire(until)
        failure: BaseException | None = None
        try:
            await connection.execute("BEGIN")
            result = await work(connection)
            await connection.execute("COMMIT")
        except BaseException as error:
            failure = await _undo(connection, error)
            raise
        finally:
            self._pool.release(connection, failure)
        return result

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()


async def _undo(connection: TransactionConnection, error: BaseException) -> BaseException:
    """Roll back after an error; return what decides whether the connection can be used again."""
    if is_usable_after(error):
        try:
            await connection.execute("ROLLBACK")
        except BaseException as failure:  # noqa: BLE001  (the first error is raised)
            return ConnectionError(failure)
    return error
