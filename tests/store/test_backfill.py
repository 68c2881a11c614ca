"""Columns that are filled in rows of an earlier version."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from gateway.domain.message import Status, plain_text
from gateway.store.engines.open import open_engines
from gateway.store.schema import tables
from gateway.store.schema.backfill import fill_columns
from gateway.store.schema.migrate import migrate
from tests.make import make_thread, put_message, text_part
from tests.store.test_plain_text import ODD, TWO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.domain.principal import Principal

# All short texts of what JSON escapes, so that each order of escapes and quotation marks occurs.
TEXTS = [[text_part("".join(each))] for length in range(4) for each in product('\\"a', repeat=length)]
CONTENTS: Sequence[list[Any]] = [*TEXTS, *ODD.values(), TWO, [text_part("🙂\n\x00é")]]


async def test_messages_of_an_earlier_version_get_the_mark_of_new_ones(
    store: Store, who: Principal, database_url: str
) -> None:
    marks = [int(plain_text(each) == 1) for each in CONTENTS]
    await _put_unmarked(store, who, database_url, CONTENTS)

    await _fill(database_url, batch=7)

    assert await _marks(database_url) == marks


async def test_a_message_in_progress_stays_unmarked(store: Store, who: Principal, database_url: str) -> None:
    thread_id = await make_thread(store, who)
    await put_message(store, who, thread_id, content=TEXTS[0], status=Status.IN_PROGRESS)

    await _fill(database_url)

    assert await _marks(database_url) == [None]


async def test_a_second_filling_keeps_marks(store: Store, who: Principal, database_url: str) -> None:
    thread_id = await make_thread(store, who)
    await put_message(store, who, thread_id, content=TEXTS[0], plain_text=0)

    await _fill(database_url)

    assert await _marks(database_url) == [0]


async def test_gateway_migrate_fills_marks(store: Store, who: Principal, database_url: str) -> None:
    await _put_unmarked(store, who, database_url, [TEXTS[0]])

    await migrate(database_url)

    assert await _marks(database_url) == [1]


async def _put_unmarked(store: Store, who: Principal, url: str, contents: Sequence[list[Any]]) -> None:
    thread_id = await make_thread(store, who)
    for content in contents:
        await put_message(store, who, thread_id, content=content)
    engines = open_engines(url)
    async with engines.writer.begin() as connection:
        await connection.execute(update(tables.messages).values(plain_text=None))
    await engines.dispose()


async def _fill(url: str, batch: int = 100) -> None:
    engines = open_engines(url)
    await fill_columns(engines.writer, batch)
    await engines.dispose()


async def _marks(url: str) -> list[int | None]:
    engines = open_engines(url)
    async with engines.reader.connect() as connection:
        found = await connection.execute(select(tables.messages.c.plain_text).order_by(tables.messages.c.position))
    await engines.dispose()
    return list(found.scalars())
