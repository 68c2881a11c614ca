"""A busy or unreachable database raises Unavailable, so that clients retry."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from gateway.errors import Unavailable
from gateway.store.engines import base, postgres
from gateway.store.engines.open import open_engines
from gateway.store.store import open_store
from tests.following import PATIENCE_S
from tests.make import holding, make_thread

if TYPE_CHECKING:
    from gateway.domain.principal import Principal


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "WAIT_S", 0.1)


@pytest.mark.usefixtures("_impatient")
async def test_sqlite_locked_by_another_process_is_unavailable_for_writers(sqlite_url: str, who: Principal) -> None:
    store = open_store(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable):
        await make_thread(store, who)

    other.close()
    await store.close()


@pytest.mark.usefixtures("_impatient")
async def test_sqlite_locked_by_another_process_is_still_read(sqlite_url: str, who: Principal) -> None:
    store = open_store(sqlite_url)
    thread_id = await make_thread(store, who)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async with store.read() as reads:
        found = await reads.get_threads(who.reach, [thread_id])

    other.close()
    await store.close()
    assert list(found) == [thread_id]


@pytest.mark.usefixtures("_impatient")
async def test_sqlite_unlocked_again_is_written(sqlite_url: str, who: Principal) -> None:
    store = open_store(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await make_thread(store, who)

    other.execute("ROLLBACK")
    thread_id = await make_thread(store, who)

    other.close()
    await store.close()
    assert thread_id


async def test_waiting_too_long_for_a_connection_is_unavailable(
    postgres_url: str, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "WRITES", 1)
    store = open_store(postgres_url)

    async with holding(store):  # to connect may take longer on a busy machine
        monkeypatch.setattr(base, "WAIT_S", 0.1)
        with pytest.raises(Unavailable):
            await make_thread(store, who)

    await store.close()


async def test_postgres_at_a_closed_port_is_unavailable(postgres_url: str, who: Principal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    store = open_store(make_url(postgres_url).set(host="127.0.0.1", port=port, query={}).render_as_string())

    with pytest.raises(Unavailable):
        await make_thread(store, who)

    await store.close()


async def test_postgres_without_free_connections_is_unavailable(postgres_url: str, who: Principal) -> None:
    owner, role = open_engines(postgres_url), "crowded"
    async with owner.reader.connect() as connection:
        await connection.exec_driver_sql(f"DROP ROLE IF EXISTS {role}")
        await connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 0")
    url = make_url(postgres_url).set(username=role, password="secret")  # noqa: S106  (of a role made here)
    store = open_store(url.render_as_string(hide_password=False))

    with pytest.raises(Unavailable):
        await make_thread(store, who)

    async with owner.reader.connect() as connection:
        await connection.exec_driver_sql(f"DROP ROLE {role}")
    await owner.dispose()
    await store.close()


async def test_a_connection_that_postgres_has_closed_is_used_no_more(postgres_url: str, who: Principal) -> None:
    owner, store = open_engines(postgres_url), open_store(postgres_url)
    await make_thread(store, who)
    async with owner.reader.connect() as connection:
        await connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    [idle] = store._writers._idle  # noqa: SLF001
    async with asyncio.timeout(PATIENCE_S):
        while not idle.is_closed():  # noqa: ASYNC110  (there is no event to wait for)
            await asyncio.sleep(0.001)
    thread_id = await make_thread(store, who)

    await owner.dispose()
    await store.close()
    assert thread_id


async def test_a_database_without_tables_is_an_error_and_not_unavailable(
    empty_database_url: str, who: Principal
) -> None:
    store = open_store(empty_database_url)

    with pytest.raises(Exception, match="threads") as raised:
        await make_thread(store, who)

    await store.close()
    assert not isinstance(raised.value, Unavailable)
