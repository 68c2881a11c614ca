"""Watched statements are reported once at their start and once at their end, whatever the outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from gateway.core import threads
from gateway.domain import parse
from gateway.store.engines.instrumentation import watch_statements
from gateway.store.engines.open import open_engines
from gateway.store.store import open_store

if TYPE_CHECKING:
    from gateway.domain.principal import Principal
    from gateway.store.engines.instrumentation import OnEnd

SELECT = text("SELECT 1")


@pytest.mark.parametrize("end", ["reader", "writer"])
async def test_a_statement_is_reported_once_at_its_start_and_once_at_its_end(database_url: str, end: str) -> None:
    told: list[object] = []

    def begin(_database: str, statement: str) -> OnEnd:
        told.append(statement)
        return told.append

    engines = open_engines(database_url)
    watch_statements(engines, begin)
    async with getattr(engines, end).connect() as connection:
        await connection.execute(SELECT)
    await engines.dispose()

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
    watch_statements(engines, begin)
    async with engines.reader.connect() as connection:
        running = asyncio.ensure_future(connection.execute(text("SELECT pg_sleep(60)")))
        await began.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await engines.dispose()

    assert [type(each) for each in ends] == [asyncio.CancelledError]
