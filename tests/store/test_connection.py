"""Our connection to PostgreSQL, which sends what is prepared already by one call of the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from gateway.settings.database_url import parse_postgres
from gateway.store.engines.postgres_connector import Connector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ALL = "SELECT * FROM altered WHERE number = $1"


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Yield a connection with a temporary table of one row, after a statement that selects it."""
    made = await Connector(parse_postgres(postgres_url))()
    await made.execute("CREATE TEMPORARY TABLE altered AS SELECT 1 AS number")
    assert await _found(made) == [(1,)]
    yield made
    await made.close()


async def _found(connection: asyncpg.Connection) -> list[Any]:
    return [tuple(row) for row in await connection.fetch(_ALL, 1)]


async def test_a_statement_can_be_repeated(connection: asyncpg.Connection) -> None:
    assert await _found(connection) == [(1,)]


async def test_a_statement_on_a_table_that_was_altered_is_prepared_again(connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE altered ADD COLUMN more integer")

    assert await _found(connection) == [(1, None)]


async def test_after_a_transaction_in_which_it_fails_it_is_prepared_again(connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE altered ADD COLUMN more integer")

    with pytest.raises(asyncpg.InvalidCachedStatementError):
        async with connection.transaction():
            await _found(connection)

    assert await _found(connection) == [(1, None)]


async def test_an_error_of_the_server_leaves_the_connection_usable(connection: asyncpg.Connection) -> None:
    divide = "SELECT 1 / $1::int"
    assert await connection.fetch(divide, 1)

    with pytest.raises(asyncpg.DivisionByZeroError):
        await connection.fetch(divide, 0)

    assert await connection.fetch(divide, 1)
