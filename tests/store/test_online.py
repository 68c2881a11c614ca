"""An upgrade of a large PostgreSQL database, beside writers of the previous version."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final

import asyncpg
import pytest
from sqlalchemy.exc import OperationalError

from gateway.errors import DatabaseBehind, Unavailable
from gateway.store.schema import migrate as module
from gateway.store.schema import online
from gateway.store.schema.migrate import migrate
from gateway.store.schema.ready import make_ready
from gateway.store.schema.revision import HEAD
from tests.effort import times
from tests.migrating import run_scripts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROWS: Final = times(fast=5_000, slow=1_000_000)
WAIT_S: Final = times(fast=10, slow=1)  # with few rows all that may take a second is the load of the machine
PREVIOUS: Final = "0005"  # the last revision of which tables can be large when this version meets them
ONLY_POSTGRES: Final = pytest.mark.parametrize("empty_database_url", ["postgres"], indirect=True)
FILL: Final = """
INSERT INTO threads
(project_id, id, created_at, metadata, tool_resources, message_count, last_position, last_created_at)
SELECT 'p' || n % 7, 'thread_' || n, n, '{}', '{}', 1, 1, n FROM generate_series(1, rows) AS n;
INSERT INTO messages (project_id, thread_id, position, id, created_at, role, status, content, attachments, metadata)
SELECT 'p' || n % 7, 'thread_' || n, 1, 'msg_' || n, n, 'user', 'completed', '[]', '[]', '{}'
FROM generate_series(1, rows) AS n"""
KEY: Final = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'pk_threads'"


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(empty_database_url)
    yield opened
    await opened.close()


async def write_until(upgraded: asyncio.Task[None], url: str) -> int:
    """Append in a loop, as a writer that waits for no lock longer than WAIT_S, and count what it has written."""
    writer = await asyncpg.connect(url)
    await writer.execute(f"SET lock_timeout = '{WAIT_S}s'")
    written = 0
    while not upgraded.done():
        async with writer.transaction():
            await writer.execute("UPDATE threads SET last_position = last_position + 1 WHERE id = 'thread_1'")
            await writer.execute(
                "INSERT INTO messages SELECT project_id, thread_id, (SELECT last_position FROM threads WHERE id = "
                "'thread_1'), 'msg_new' || $1::text, created_at, role, status, content, attachments, metadata "
                "FROM messages WHERE id = 'msg_1'",
                str(written),
            )
        written += 1
    await writer.close()
    return written


@ONLY_POSTGRES
async def test_an_upgrade_makes_no_writer_wait_for_more_than_a_second(
    empty_database_url: str, connection: asyncpg.Connection
) -> None:
    await run_scripts(empty_database_url, PREVIOUS)
    await connection.execute(FILL.replace("rows", str(ROWS)))
    upgraded = asyncio.create_task(migrate(empty_database_url))

    written = await write_until(upgraded, empty_database_url)

    await upgraded
    assert written > 0
    assert await connection.fetchval(KEY) == "PRIMARY KEY (project_id, seq)"
    assert await connection.fetchval("SELECT count(*) FROM messages WHERE plain_text IS NULL AND id !~ 'new'") == 0


@ONLY_POSTGRES
async def test_an_interrupted_upgrade_is_completed_by_the_next(
    empty_database_url: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "_TRIES", 1)
    await run_scripts(empty_database_url, HEAD)
    reader = await asyncpg.connect(empty_database_url)
    reading = reader.transaction()
    await reading.start()
    await reader.execute("SELECT FROM threads")  # in a transaction that does not end

    with pytest.raises(Unavailable, match="long transaction"):
        await migrate(empty_database_url)
    before = await connection.fetchval(KEY)
    await reading.rollback()
    await reader.close()
    await migrate(empty_database_url)

    assert (before, await connection.fetchval(KEY)) == ("PRIMARY KEY (seq)", "PRIMARY KEY (project_id, seq)")
    assert await connection.fetchval("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


@ONLY_POSTGRES
async def test_the_scripts_wait_for_tables_that_others_read(
    empty_database_url: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_scripts(empty_database_url, PREVIOUS)
    reading = connection.transaction()
    await reading.start()
    await connection.execute("SELECT FROM messages")
    asked: list[float] = []

    async def end_reading(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == 2:
            await reading.rollback()

    monkeypatch.setattr(asyncio, "sleep", end_reading)
    await migrate(empty_database_url)

    assert len(asked) == 2


async def test_a_fault_after_the_scripts_is_named(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise OperationalError("UPDATE", {}, error)

    monkeypatch.setattr(module, "fill_columns", fail)
    with pytest.raises(Unavailable, match="The disk of the database is full"):
        await migrate(empty_database_url)


@ONLY_POSTGRES
@pytest.mark.parametrize("step", ["fill_columns", "change_online"])
async def test_no_server_starts_before_an_upgrade_is_complete(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def die(_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(module, step, die)
        with pytest.raises(ConnectionResetError):
            await migrate(empty_database_url)
    with pytest.raises(DatabaseBehind, match="was interrupted"):
        await make_ready(empty_database_url)

    await migrate(empty_database_url)

    await make_ready(empty_database_url)


@ONLY_POSTGRES
async def test_upgrades_at_the_same_time_wait_for_each_other(
    empty_database_url: str, connection: asyncpg.Connection
) -> None:
    await asyncio.gather(*(migrate(empty_database_url) for _ in range(3)))

    assert await connection.fetchval(KEY) == "PRIMARY KEY (project_id, seq)"
