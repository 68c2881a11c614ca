from __future__ import annotations

import asyncio
import random
import sqlite3
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from gateway.core import messages, threads
from gateway.domain.message import MessagePatch
from gateway.domain.page import Order, PageRequest
from gateway.domain.thread import ThreadPatch
from gateway.errors import GatewayError, NotFound
from gateway.store.engines.open import open_engines
from gateway.store.schema import tables
from tests.make import fill_thread, list_page, make_thread, new_message, put_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Table

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from gateway.store.engines.base import Engines

OLDEST_FIRST = PageRequest(100, Order.ASC)


@pytest.fixture
async def engines(database_url: str) -> AsyncIterator[Engines]:
    """Reach the rows beside the store."""
    opened = open_engines(database_url)
    yield opened
    await opened.dispose()


async def test_fifty_messages_at_once_get_the_positions_one_to_fifty(
    store: Store, who: Principal, engines: Engines
) -> None:
    thread_id = await make_thread(store, who)

    await asyncio.gather(*(messages.create(store, who, thread_id, new_message()) for _ in range(50)))

    assert await _column(engines, tables.messages, "position", thread_id) == list(range(1, 51))


async def test_positions_are_in_the_order_of_commits(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    seen: list[list[str]] = []

    async def watch() -> None:
        while len(seen) < 2 or len(seen[-1]) < 50:
            page = await list_page(store, who, thread_id, OLDEST_FIRST)
            seen.append([each.id for each in page.items])

    await asyncio.gather(watch(), *(messages.create(store, who, thread_id, new_message()) for _ in range(50)))

    # A message that is committed late has nobody behind it: what was seen once is the beginning of all seen later.
    assert [each for each in seen if each != seen[-1][: len(each)]] == []
    assert len({len(each) for each in seen}) > 0


async def test_created_at_does_not_decrease_within_a_minute_and_a_jump_of_the_clock_does_not_stick(
    store: Store, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([1_000_900, 940_000, 1_001_000, 9_000_000, 1_002_000, 941_900, 943_000])
    thread_id = await make_thread(store, who)
    monkeypatch.setattr(messages, "now_ms", lambda: next(clock))

    made = [await messages.create(store, who, thread_id, new_message()) for _ in range(7)]

    assert [each.created_at for each in made] == [1000, 1000, 1001, 9000, 1002, 941, 943]


async def test_a_message_is_returned_as_stored_after_the_clock_went_back(
    store: Store, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([1_000_000, 999_000])
    thread_id = await make_thread(store, who)
    monkeypatch.setattr(messages, "now_ms", lambda: next(clock))

    made = [await messages.create(store, who, thread_id, new_message()) for _ in range(2)]

    assert (await list_page(store, who, thread_id, OLDEST_FIRST)).items == tuple(made)


async def test_the_count_is_exact_after_creates_and_deletes_at_once(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    old = await fill_thread(store, who, thread_id, [None] * 20)

    creates = [messages.create(store, who, thread_id, new_message()) for _ in range(15)]
    deletes = [messages.delete(store, who, thread_id, each.id) for each in old[:12]]
    await asyncio.gather(*_shuffled([*creates, *deletes]))

    page = await list_page(store, who, thread_id, OLDEST_FIRST)
    assert len(page.items) == 20 + 15 - 12
    assert (await threads.get(store, who, thread_id)).message_count == len(page.items)


async def test_a_message_deleted_twice_at_once_is_counted_once(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    gone, *_ = await fill_thread(store, who, thread_id, [None] * 3)

    deletes = [messages.delete(store, who, thread_id, gone.id) for _ in range(5)]
    outcomes = await asyncio.gather(*deletes, return_exceptions=True)

    assert sorted(type(each).__name__ for each in outcomes) == [*["NotFound"] * 4, "str"]
    assert (await threads.get(store, who, thread_id)).message_count == 2


async def test_a_thread_deleted_amid_creates_and_deletes_leaves_no_row(
    store: Store, who: Principal, engines: Engines
) -> None:
    for _ in range(4):
        thread_id = await make_thread(store, who)
        old = await fill_thread(store, who, thread_id, [None] * 10)

        work = [
            *(messages.create(store, who, thread_id, new_message()) for _ in range(8)),
            *(messages.delete(store, who, thread_id, each.id) for each in old[:8]),
            *(messages.update(store, who, thread_id, each.id, MessagePatch({"a": "b"})) for each in old[4:]),
            threads.delete(store, who, thread_id),
        ]
        outcomes = await asyncio.gather(*_shuffled(work), return_exceptions=True)

        assert [each for each in outcomes if isinstance(each, BaseException) and not isinstance(each, NotFound)] == []
        assert await _column(engines, tables.messages, "position", thread_id) == []
        assert await _column(engines, tables.deleted_messages, "position", thread_id) == []


async def test_concurrent_changes_of_metadata_are_all_kept(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    message = await messages.create(store, who, thread_id, new_message())

    await asyncio.gather(
        *(threads.update(store, who, thread_id, ThreadPatch({f"k{n}": "v"})) for n in range(10)),
        *(messages.update(store, who, thread_id, message.id, MessagePatch({f"k{n}": "v"})) for n in range(10)),
    )

    keys = {f"k{n}": "v" for n in range(10)}
    assert (await threads.get(store, who, thread_id)).metadata == keys
    assert (await messages.get(store, who, thread_id, message.id)).metadata == keys


async def test_a_transaction_that_raises_writes_nothing(store: Store, who: Principal, engines: Engines) -> None:
    thread_id = await make_thread(store, who)
    taken = (await messages.create(store, who, thread_id, new_message())).id

    with pytest.raises((asyncpg.UniqueViolationError, sqlite3.IntegrityError)):
        await put_message(store, who, thread_id, id=taken)

    assert await _column(engines, tables.messages, "position", thread_id) == [1]
    assert (await threads.get(store, who, thread_id)).message_count == 1


async def test_an_error_in_a_statement_is_not_unavailable(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)

    with pytest.raises(Exception, match=r"role|NOT NULL") as raised:
        await put_message(store, who, thread_id, role=SimpleNamespace(value=None))

    assert not isinstance(raised.value, GatewayError)


@pytest.mark.parametrize(
    ("pragma", "on_writer", "on_reader"),
    [("journal_mode", "wal", "wal"), ("synchronous", 2, 2), ("foreign_keys", 1, 0), ("query_only", 0, 1)],
)
async def test_sqlite_runs_with_the_pragma(
    sqlite_url: str, pragma: str, on_writer: str | int, on_reader: str | int
) -> None:
    engines = open_engines(sqlite_url)

    async with engines.writer.connect() as writer, engines.reader.connect() as reader:
        found = [(await each.exec_driver_sql(f"PRAGMA {pragma}")).scalar_one() for each in (writer, reader)]

    await engines.dispose()
    assert found == [on_writer, on_reader]


async def test_sqlite_readers_cannot_write(sqlite_url: str) -> None:
    engines = open_engines(sqlite_url)

    async with engines.reader.connect() as reader:
        with pytest.raises(OperationalError, match="readonly"):
            await reader.exec_driver_sql("DELETE FROM threads")

    await engines.dispose()


def _shuffled(work: list[Any]) -> list[Any]:
    random.Random(0).shuffle(work)  # noqa: S311  (an order, no secret)
    return work


async def _column(engines: Engines, table: Table, column: str, thread_id: str) -> list[Any]:
    statement = select(table.c[column]).where(table.c.thread_id == thread_id).order_by(table.c[column])
    async with engines.reader.connect() as connection:
        return list((await connection.execute(statement)).scalars())
