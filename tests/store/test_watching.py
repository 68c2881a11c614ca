"""Watched statements are reported once at their start and once at their end, whatever the outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from gateway.core import threads
from gateway.domain import parse
from gateway.store.connections import open_reader
from gateway.store.engines.open import open_engines
from gateway.store.store import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import TextClause

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from gateway.store.engines.watchers import OnEnd


def select_one() -> TextClause:
    return text("SELECT 1")


async def read_one(store: Store) -> None:
    async with store.read() as reads:
        await reads._rows(select_one)  # noqa: SLF001


async def write_one(store: Store) -> None:
    await store.write(lambda writes: writes._rows(select_one))  # noqa: SLF001


@pytest.mark.parametrize("run", [read_one, write_one])
async def test_a_statement_is_reported_once_at_its_start_and_once_at_its_end(
    database_url: str, run: Callable[[Store], Awaitable[None]]
) -> None:
    told: list[object] = []

    def begin(_database: str, statement: str) -> OnEnd:
        told.append(statement)
        return told.append

    store = open_store(database_url)
    store.watch(begin)
    await run(store)
    await store.close()

    assert told == ["SELECT 1", None]


async def test_a_statement_without_an_end_callback_is_reported_at_its_start(database_url: str, who: Principal) -> None:
    told: list[str] = []
    store = open_store(database_url)
    store.watch(lambda database, _statement: told.append(database))

    await threads.create(store, who, parse.new_thread({}))
    await store.close()

    assert set(told) == {database_url.partition(":")[0].partition("+")[0]}


async def test_a_cancelled_statement_is_reported_as_ended(postgres_url: str) -> None:
    began, ends = asyncio.Event(), list[BaseException | None]()

    def begin(_database: str, _statement: str) -> OnEnd:
        began.set()
        return ends.append

    engines = open_engines(postgres_url)
    engines.watchers.on_begin.append(begin)
    connection = await open_reader(engines)
    running = asyncio.ensure_future(connection.rows(lambda: text("SELECT pg_sleep(60)"), ()))
    await began.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await connection.discard()
    await engines.dispose()

    assert [type(each) for each in ends] == [asyncio.CancelledError]
