"""Pairs of metadata are in the order by activity from many threads on; whichever rows are, a list has all of them."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import func, insert, select, text, update

from gateway.core import messages, threads
from gateway.domain.page import Order, PageRequest
from gateway.domain.thread import NewThread, ThreadPatch
from gateway.domain.thread_list import MetadataMatch, OrderBy, Selection, ThreadFilter
from gateway.domain.wire import dump_text
from gateway.store.engines.open import open_engines
from gateway.store.schema import tables
from gateway.store.schema.migrate import migrate
from tests.effort import times
from tests.make import SOME_SECOND, new_message
from tests.migrating import run_scripts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from gateway.core import Store
    from gateway.domain.principal import Principal

FEW: Final = 128  # of a pair that is in no order
FIRST: Final = 1_000_000  # the number of the first thread that is made here, far from those of the database
# Those that count their pairs, of the same numbers and of lower ones.
COUNTING: Final = [n for n in range(FIRST, FIRST + 5_000) if (n * 40503 >> 11) & 31 == 0]
LOWER: Final = [n for n in range(FIRST - 5_000, FIRST) if (n * 40503 >> 11) & 31 == 0]
PAIR: Final = {"channel": "web"}
_PAIRS, _OWN, _ORDER = tables.thread_metadata.c, tables.threads.c, tables.thread_activity.c

on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


def _id(number: int) -> str:
    return f"thread_{number:024}"


async def _insert(connection: AsyncConnection, who: Principal, numbers: Iterable[int], pairs: dict[str, str]) -> None:
    """Insert threads by their numbers, each active a second after the one before."""
    made = [
        {
            "seq": number,
            "project_id": who.reach.project_id,
            "id": _id(number),
            "created_at": SOME_SECOND + number % FIRST,
            "activity_at": 1_000 * (SOME_SECOND + number % FIRST),
            "metadata": dump_text(pairs),
            "tool_resources": "{}",
            "message_count": 0,
            "last_position": 0,
            "last_created_at": 0,
        }
        for number in numbers
    ]
    await connection.execute(insert(tables.threads), made)


@asynccontextmanager
async def _engine(url: str) -> AsyncIterator[AsyncEngine]:
    engines = open_engines(url)
    try:
        yield engines.writer
    finally:
        await engines.dispose()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with _engine(database_url) as opened:
        yield opened


async def _add(engine: AsyncEngine, who: Principal, numbers: Iterable[int], pairs: dict[str, str] = PAIR) -> None:
    async with engine.begin() as connection:
        await _insert(connection, who, numbers, pairs)


def _beside(count: int) -> list[int]:
    """Return numbers of threads that do not count their pairs."""
    return [n for n in range(FIRST, FIRST + 2 * count) if n not in COUNTING][:count]


async def _kinds(engine: AsyncEngine) -> tuple[int, int]:
    """Count the rows of the pair that are in the order, and those that are not; and compare all times in it."""
    is_of_pair = (_PAIRS.key == "channel", _PAIRS.value == "web")
    async with engine.connect() as connection:
        held = await connection.execute(
            select(_PAIRS.activity_at, tables.ACTIVITY_AT)
            .join(tables.threads, (_OWN.seq == _PAIRS.seq) & (_OWN.project_id == _PAIRS.project_id))
            .where(_PAIRS.activity_at != -1)
        )
        assert [(at, own) for at, own in held if at != own] == []
        counted = select(func.count()).where(*is_of_pair)
        ordered = (await connection.execute(counted.where(_PAIRS.activity_at >= 0))).scalar_one()
        return ordered, (await connection.execute(counted)).scalar_one() - ordered


async def _list(
    store: Store, who: Principal, limit: int, order: Order = Order.DESC, active_after: int | None = None
) -> list[str]:
    """Read all pages of the threads of the pair."""
    only = ThreadFilter((MetadataMatch("channel", ("web",)),), active_after=active_after)
    selected = Selection(OrderBy.ACTIVITY, only)
    found: list[str] = []
    asked = PageRequest(limit, order)
    while True:
        page = await threads.list_page(store, who, asked, selected)
        found += [each.id for each in page.items]
        if not page.has_more:
            return found
        asked = PageRequest(limit, order, after=selected.cursor_of(page.items[-1]))


async def _expected(engine: AsyncEngine) -> list[str]:
    """Return what the list is by the rows of threads alone."""
    async with engine.connect() as connection:
        found = await connection.execute(select(_OWN.id, _OWN.metadata, tables.ACTIVITY_AT, _OWN.seq))
        own = [(at, seq, thread_id) for thread_id, pairs, at, seq in found if '"channel":"web"' in pairs]
    return [thread_id for _, _, thread_id in sorted(own, reverse=True)]


async def test_a_message_moves_no_row_of_a_pair_of_few_threads(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, range(FIRST, FIRST + FEW))

    await messages.create(store, who, _id(FIRST), new_message())  # type: ignore[arg-type]

    assert await _kinds(engine) == (0, FEW)
    assert await _list(store, who, 50) == await _expected(engine)


async def test_a_pair_of_one_thread_more_is_ordered_when_its_threads_are_counted(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, _beside(FEW))
    assert await _kinds(engine) == (0, FEW)

    await _add(engine, who, COUNTING[:1])

    assert await _kinds(engine) == (FEW + 1, 0)
    assert await _list(store, who, 50) == await _expected(engine)


async def test_one_of_32_threads_counts_however_they_are_numbered(engine: AsyncEngine, who: Principal) -> None:
    await _add(engine, who, range(FIRST, FIRST + 33 * 256, 32))

    ordered, unordered = await _kinds(engine)

    assert ordered > 0
    assert unordered == 0


async def test_a_new_thread_of_an_ordered_pair_is_in_the_order(engine: AsyncEngine, who: Principal) -> None:
    *many, last = _beside(FEW + 1)
    await _add(engine, who, [*many, COUNTING[0]])

    await _add(engine, who, [last])

    assert await _kinds(engine) == (FEW + 2, 0)


async def test_threads_that_get_a_pair_by_a_change_count_it(store: Store, who: Principal, engine: AsyncEngine) -> None:
    await _add(engine, who, range(FIRST, FIRST + 3 * FEW), {})

    async with engine.begin() as connection:
        await connection.execute(update(tables.threads).values(metadata=dump_text(PAIR)))

    assert await _kinds(engine) == (3 * FEW, 0)
    assert await _list(store, who, 100) == await _expected(engine)


async def test_a_pair_is_in_no_order_again_after_its_last_thread(engine: AsyncEngine, who: Principal) -> None:
    await _add(engine, who, [*_beside(FEW), COUNTING[0]])
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM threads"))

    await _add(engine, who, [FIRST])

    assert await _kinds(engine) == (0, 1)


async def test_what_is_rolled_back_orders_nothing(engine: AsyncEngine, who: Principal) -> None:
    await _add(engine, who, _beside(FEW))

    async with engine.connect() as connection, connection.begin(), await connection.begin_nested() as savepoint:
        await _insert(connection, who, COUNTING[:1], PAIR)
        await savepoint.rollback()

    assert await _kinds(engine) == (0, FEW)


async def test_an_upgrade_orders_the_pairs_of_many_threads_alone(empty_database_url: str) -> None:
    await run_scripts(empty_database_url, "0009")  # before both tables
    async with _engine(empty_database_url) as engine:
        columns = "project_id, id, created_at, metadata, tool_resources, message_count, last_position, last_created_at"
        own = [{"id": _id(n), "metadata": dump_text({**PAIR, "n": str(n)})} for n in range(3 * FEW)]
        async with engine.begin() as connection:
            await connection.execute(
                text(f"INSERT INTO threads ({columns}) VALUES ('default', :id, 1, :metadata, '{{}}', 0, 0, 0)"), own
            )

        await migrate(empty_database_url)

        in_none = select(func.count()).where(_PAIRS.key == "n", _PAIRS.activity_at == -1)
        async with engine.connect() as connection:
            assert (await connection.execute(in_none)).scalar_one() == 3 * FEW
        assert await _kinds(engine) == (3 * FEW, 0)


@pytest.mark.parametrize("seed", range(times(fast=2, slow=40)))
async def test_pages_are_those_of_the_model_whatever_was_done_before(
    store: Store, who: Principal, engine: AsyncEngine, seed: int
) -> None:
    chosen = random.Random(seed)  # noqa: S311
    await _add(engine, who, range(FIRST, FIRST + FEW - 8))
    made = [_id(FIRST + n) for n in range(FEW - 8)]

    for n in range(60):
        some: Any = chosen.choice(made)
        match chosen.randrange(5):
            case 0 | 1:
                made += [_id(FIRST + 1_000 + 4 * n + m) for m in range(4)]
                await _add(engine, who, range(FIRST + 1_000 + 4 * n, FIRST + 1_004 + 4 * n))
            case 2:
                await messages.create(store, who, some, new_message())
            case 3:
                await threads.update(store, who, some, ThreadPatch(metadata={"channel": chosen.choice([None, "web"])}))
            case _:
                await threads.delete(store, who, some)
                made.remove(some)
        if n % 10 == 0:
            await _kinds(engine)
    limit = chosen.randrange(1, 60)

    expected = await _expected(engine)
    assert (await _kinds(engine))[0] > 0
    assert await _list(store, who, limit) == expected
    assert await _list(store, who, limit, Order.ASC) == expected[::-1]


async def test_a_thread_that_is_not_whole_is_in_no_list_of_an_ordered_pair(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, [*_beside(FEW), COUNTING[0]])
    async with engine.begin() as connection:
        await connection.execute(update(tables.threads).where(_OWN.seq == FIRST).values(filling=1))

    found = await _list(store, who, FEW)

    assert await _kinds(engine) == (FEW + 1, 0)
    assert (len(found), _id(FIRST) in found) == (FEW, False)


async def test_rows_in_no_order_are_not_older_than_the_first_second(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, _beside(9))

    found = await _list(store, who, 2, active_after=-86_400_000)

    assert found == await _expected(engine)


async def test_no_thread_is_missing_and_none_is_out_of_order_while_many_write(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, range(FIRST, FIRST + FEW // 2))
    kept = [_id(FIRST + n) for n in range(FEW // 2)]
    is_over = asyncio.Event()
    seen = 0

    async def create(first: int) -> None:
        for n in range(first, first + 40):
            await threads.create(store, who, NewThread(PAIR, {}))
            if n % 8 == 0:
                await _add(engine, who, [LOWER[n // 8]])

    async def move(first: int) -> None:
        for n in range(60):
            thread_id: Any = kept[(first + 7 * n) % len(kept)]
            await messages.create(store, who, thread_id, new_message())

    async def change() -> None:
        for n in range(30):
            thread_id: Any = kept[(5 * n) % len(kept)]
            await threads.update(store, who, thread_id, ThreadPatch(metadata={"n": str(n)}))

    async def read() -> None:
        nonlocal seen
        selected = Selection(OrderBy.ACTIVITY, ThreadFilter((MetadataMatch("channel", ("web",)),)))
        while not is_over.is_set():
            page = await threads.list_page(store, who, PageRequest(1_000), selected)
            assert {*kept} <= {each.id for each in page.items}
            places = [each.activity_at or 0 for each in page.items]
            assert places == sorted(places, reverse=True)
            seen += 1

    reader = asyncio.ensure_future(read())
    await asyncio.gather(create(0), create(40), create(80), move(0), move(31), change())
    is_over.set()
    await reader

    assert seen > 0
    assert (await _kinds(engine))[0] > FEW
    assert await _list(store, who, 100) == await _expected(engine)


@asynccontextmanager
async def _ordering(engine: AsyncEngine, who: Principal, number: int) -> AsyncIterator[None]:
    """Order the pair as a commit would, and commit after the block."""
    async with engine.begin() as connection:
        await _insert(connection, who, [number], PAIR)
        await connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        yield


async def _until_ordered(engine: AsyncEngine, who: Principal, work: Awaitable[object]) -> None:
    """Do what waits for the pair to be ordered."""
    async with _ordering(engine, who, COUNTING[0]):
        waiting = asyncio.ensure_future(work)
        await _wait_for_a_lock(engine)
    await waiting


@on_postgres
async def test_a_thread_that_moves_meanwhile_is_ordered_later(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, _beside(FEW))

    async with engine.begin() as connection:
        later = {"activity_at": _OWN.activity_at + 1_000_000}
        await connection.execute(update(tables.threads).where(_OWN.seq == FIRST).values(later))
        await _add(engine, who, COUNTING[:1])
        assert await _kinds(engine) == (FEW, 1)
        assert await _list(store, who, 50) == await _expected(engine)

    assert (await _list(store, who, 50))[0] == _id(FIRST)
    await _add(engine, who, COUNTING[1:2])
    assert await _kinds(engine) == (FEW + 1, 1)  # the new one was in the order at once, and counted nothing
    assert await _list(store, who, 50) == await _expected(engine)


@on_postgres
async def test_a_message_that_waits_for_the_order_moves_its_thread_in_it(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, _beside(FEW))
    thread_id: Any = _id(FIRST)

    await _until_ordered(engine, who, messages.create(store, who, thread_id, new_message()))

    assert await _kinds(engine) == (FEW + 1, 0)
    assert (await _list(store, who, 50))[0] == thread_id


@on_postgres
async def test_of_two_that_order_one_pair_none_waits(store: Store, who: Principal, engine: AsyncEngine) -> None:
    await _add(engine, who, _beside(FEW))

    async with _ordering(engine, who, COUNTING[0]), _ordering(engine, who, COUNTING[1]):
        pass

    ordered, unordered = await _kinds(engine)
    assert (ordered + unordered, ordered >= FEW) == (FEW + 2, True)
    assert await _list(store, who, 50) == await _expected(engine)


@on_postgres
async def test_a_thread_that_waits_to_be_deleted_leaves_nothing(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, _beside(FEW))
    thread_id: Any = _id(FIRST)

    await _until_ordered(engine, who, threads.delete(store, who, thread_id))

    assert await _kinds(engine) == (FEW, 0)


async def _wait_for_a_lock(engine: AsyncEngine) -> None:
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with engine.connect() as connection:
        while not (await connection.execute(waits)).scalar_one():
            await connection.rollback()


async def _flags(engine: AsyncEngine) -> list[bool | None]:
    """Read whether threads may have a pair in the order, by their numbers."""
    async with engine.connect() as connection:
        found = await connection.execute(select(_ORDER.has_ordered_pair).order_by(_ORDER.seq))
        return list(found.scalars())


@on_postgres
async def test_a_new_thread_notes_whether_it_has_an_ordered_pair(engine: AsyncEngine, who: Principal) -> None:
    await _add(engine, who, [*_beside(FEW), COUNTING[0]])

    for number, pairs in enumerate([{}, {"own": "1"}, {**PAIR, "own": "2"}]):
        await _add(engine, who, [FIRST + 4_000 + number], pairs)

    assert (await _flags(engine))[-3:] == [False, False, True]


@on_postgres
async def test_a_message_finds_out_what_a_row_of_the_previous_version_does_not_say(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, [*_beside(FEW), COUNTING[0]])
    await _add(engine, who, [FIRST + 4_000], {"own": "1"})
    async with engine.begin() as connection:
        await connection.execute(update(tables.thread_activity).values(has_ordered_pair=None))

    for number in (FIRST, FIRST + 4_000):
        await messages.create(store, who, _id(number), new_message())  # type: ignore[arg-type]

    flags = await _flags(engine)
    assert (flags[0], flags[-1]) == (True, False)
    assert set(flags[1:-1]) == {None}
    assert (await _list(store, who, 50))[0] == _id(FIRST)


@on_postgres
async def test_ordering_a_pair_is_noted_for_threads_that_had_none_in_the_order(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, _beside(FEW))
    thread_id: Any = _id(FIRST)
    assert set(await _flags(engine)) == {False}

    await _add(engine, who, COUNTING[:1])
    assert set(await _flags(engine)) == {True}
    await messages.create(store, who, thread_id, new_message())

    assert await _kinds(engine) == (FEW + 1, 0)
    assert (await _list(store, who, 50))[0] == thread_id


@on_postgres
async def test_a_thread_that_gets_an_ordered_pair_moves_in_its_order(
    store: Store, who: Principal, engine: AsyncEngine
) -> None:
    await _add(engine, who, [*_beside(FEW), COUNTING[0]])
    await _add(engine, who, [FIRST + 4_000], {"own": "1"})
    thread_id: Any = _id(FIRST + 4_000)
    assert (await _flags(engine))[-1] is False

    await threads.update(store, who, thread_id, ThreadPatch(metadata={**PAIR}))
    assert (await _flags(engine))[-1] is True
    await messages.create(store, who, thread_id, new_message())

    assert await _kinds(engine) == (FEW + 2, 0)
    assert (await _list(store, who, 50))[0] == thread_id
