"""When a thread was last active, and the order of threads by it, which triggers of the database keep."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text, update

from gateway.core import messages, streaming, threads
from gateway.domain.message import Ending, Status
from gateway.domain.thread import NewThread, ThreadPatch
from gateway.store.engines.open import open_engines
from gateway.store.schema import tables
from gateway.store.schema.backfill import fill_columns
from tests.make import SOME_SECOND, fill_thread, make_thread, make_thread_of_second, new_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.domain.principal import Principal

NOW = 1_000 * SOME_SECOND


async def _activity(store: Store, who: Principal, thread_id: str) -> int:
    found = (await threads.get(store, who, thread_id)).activity_at  # type: ignore[arg-type]
    assert found is not None
    return found


async def _run(url: str, *statements: Any) -> Sequence[tuple[Any, ...]]:
    engines = open_engines(url)
    async with engines.writer.begin() as connection:
        found = [await connection.execute(each) for each in statements][-1]
        rows = list(map(tuple, found)) if found.returns_rows else []
    await engines.dispose()
    return rows


async def _order(url: str) -> list[str]:
    """Return what is in the table of the order, and fail where it differs from the threads."""
    own, order = tables.threads.c, tables.thread_activity.c
    held = await _run(url, select(order.seq, order.activity_at, order.owner).order_by(order.seq))
    last = text(
        "SELECT seq, coalesce(activity_at, 1000 * CASE WHEN last_created_at > 0 THEN last_created_at "
        "ELSE created_at END), owner FROM threads ORDER BY seq"
    )
    assert held == await _run(url, last)
    joined = select(own.id).join(tables.thread_activity, order.seq == own.seq)
    return [each[0] for each in await _run(url, joined.order_by(order.activity_at))]


async def test_a_new_thread_is_active_when_it_is_created(store: Store, who: Principal, database_url: str) -> None:
    thread = await threads.create(store, who, NewThread({}, {}, (), "anna"))

    assert thread.activity_at is not None
    assert thread.activity_at // 1_000 == thread.created_at
    assert await _activity(store, who, thread.id) == thread.activity_at
    assert await _order(database_url) == [thread.id]


async def test_a_message_is_an_activity(store: Store, who: Principal, database_url: str) -> None:
    thread_id = await make_thread_of_second(store, who, SOME_SECOND)
    assert await _activity(store, who, thread_id) == NOW

    message = await messages.create(store, who, thread_id, new_message())

    assert await _activity(store, who, thread_id) // 1_000 == message.created_at
    assert await _order(database_url) == [thread_id]


async def test_two_activities_of_one_moment_differ(store: Store, who: Principal) -> None:
    thread_id = await make_thread_of_second(store, who, SOME_SECOND)

    await fill_thread(store, who, thread_id, [None])
    await fill_thread(store, who, thread_id, [None])

    assert await _activity(store, who, thread_id) == NOW + 2


@pytest.mark.parametrize(("ahead_s", "gained_ms"), [(60, 60_001), (61, 0)], ids=["a minute", "more"])
async def test_activity_does_not_fall_unless_it_is_far_ahead_of_the_clock(
    store: Store, who: Principal, database_url: str, ahead_s: int, gained_ms: int
) -> None:
    thread_id = await make_thread_of_second(store, who, SOME_SECOND)
    await fill_thread(store, who, thread_id, [None], SOME_SECOND + ahead_s)

    await fill_thread(store, who, thread_id, [None])

    assert await _activity(store, who, thread_id) == NOW + gained_ms
    assert await _order(database_url) == [thread_id]


async def test_a_finished_message_is_an_activity_and_its_text_is_none(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    message = await messages.create(store, who, thread_id, replace(new_message(), status=Status.IN_PROGRESS))
    begun = await _activity(store, who, thread_id)

    await streaming.append_text(store, who, message.id, "more")
    appended = await _activity(store, who, thread_id)
    await streaming.finish(store, who, message.id, Ending(Status.COMPLETED, None))

    assert appended == begun
    assert await _activity(store, who, thread_id) > begun


async def test_metadata_and_a_deletion_are_no_activity(store: Store, who: Principal, database_url: str) -> None:
    thread_id = await make_thread(store, who)
    message = await messages.create(store, who, thread_id, new_message())
    before = await _activity(store, who, thread_id)

    await threads.update(store, who, thread_id, ThreadPatch(metadata={"a": "b"}))
    await messages.delete(store, who, thread_id, message.id)

    assert await _activity(store, who, thread_id) == before
    assert await _order(database_url) == [thread_id]


async def test_a_deleted_thread_leaves_the_order(store: Store, who: Principal, database_url: str) -> None:
    thread = await threads.create(store, who, NewThread({"a": "b"}, {}))

    await threads.delete(store, who, thread.id)

    assert await _order(database_url) == []
    assert await _run(database_url, select(tables.thread_metadata.c.key)) == []


async def test_a_message_of_the_previous_version_is_an_activity(
    store: Store, who: Principal, database_url: str
) -> None:
    thread = await threads.create(store, who, NewThread({}, {}))
    assert thread.activity_at is not None
    second = thread.created_at + 5
    counted = {"message_count": tables.threads.c.message_count + 1, "last_created_at": second}

    await _run(database_url, update(tables.threads).values(counted))
    assert await _activity(store, who, thread.id) == 1_000 * second
    assert await _order(database_url) == [thread.id]

    await _run(database_url, update(tables.threads).values(activity_at=None))
    await _run(database_url, update(tables.threads).values({**counted, "last_created_at": second + 1}))

    assert await _activity(store, who, thread.id) == 1_000 * (second + 1)
    assert await _order(database_url) == [thread.id]


ODD = {
    "plain": "a",
    "quoted": '"\\',
    "escaped": "\\u0000 \\\\u0000",
    "none": "a\0b\0",
    "control": "\x01\n",
    "no text": "",
    "🙂": "é🙂" * 256,
}


async def test_threads_of_the_previous_version_are_filled_in(store: Store, who: Principal, database_url: str) -> None:
    made = [await threads.create(store, who, NewThread({**ODD, "n": str(n)}, {})) for n in range(5)]
    own = tables.thread_metadata.c
    pairs = select(own.seq, own.key, own.value, own.created_at).order_by(own.seq, own.key)
    noted = await _run(database_url, pairs)
    empty = [text(f"DELETE FROM {table}") for table in ("thread_activity", "thread_metadata")]
    await _run(database_url, update(tables.threads).values(activity_at=None), *empty)
    engines = open_engines(database_url)

    await fill_columns(engines.writer, 2)

    await engines.dispose()
    assert set(await _order(database_url)) == {each.id for each in made}
    assert await _run(database_url, pairs) == noted


async def test_each_pair_of_metadata_is_a_row(store: Store, who: Principal, database_url: str) -> None:
    pairs = tables.thread_metadata.c
    expected = sorted((key, value.replace("\0", "\uffff")) for key, value in ODD.items())

    thread = await threads.create(store, who, NewThread(ODD, {}))
    assert sorted(map(tuple, await _run(database_url, select(pairs.key, pairs.value)))) == expected

    await threads.update(store, who, thread.id, ThreadPatch(metadata={**dict.fromkeys(ODD), "new": "1"}))
    assert await _run(database_url, select(pairs.key, pairs.value)) == [("new", "1")]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_message_makes_postgres_parse_no_condition_of_a_trigger(database_url: str) -> None:
    noted = "message_count", "last_position", "last_created_at", "activity_at"
    fired = text(f"""SELECT DISTINCT tgname FROM pg_trigger JOIN pg_attribute
        ON attrelid = tgrelid AND (attnum = ANY (tgattr) OR cardinality(tgattr) = 0)
        WHERE tgrelid = 'threads'::regclass AND tgtype::int & 16 > 0 AND NOT tgisinternal AND attname IN {noted}""")
    conditional = text("SELECT tgname FROM pg_trigger WHERE tgqual IS NOT NULL")

    assert [name for (name,) in await _run(database_url, fired)] == ["move_thread"]
    assert "move_thread" not in {name for (name,) in await _run(database_url, conditional)}
