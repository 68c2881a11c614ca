"""A long thread is deleted for all callers at once, while what it has is removed in short transactions after that."""

from __future__ import annotations

import asyncio
import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
import pytest
from sqlalchemy import Text, func, select, update

from gateway.core import erasing, filling, follow, follow_list, forking, messages, runs, thread_removal, threads
from gateway.core.clock import now_ms
from gateway.core.run_leases import lease, renew
from gateway.domain import parse
from gateway.domain.change import ThreadDeleted
from gateway.domain.idempotency import Attempt
from gateway.domain.page import PageRead, PageRequest
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.domain.thread import NewFork
from gateway.errors import IdempotencyKeyInUse, InvalidRequest, NotFound
from gateway.observability import audit
from gateway.store.schema import tables
from gateway.store.statements import removal
from tests.core.test_erasing import following_list
from tests.following import PATIENCE_S, rest_of, say
from tests.isolation.world import make_names
from tests.make import new_message

if TYPE_CHECKING:
    from sqlalchemy import Table

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.events.hub import Hub
    from gateway.store.runs import RunWrites

SHOP: Final = Principal(Reach("shop"), KEY_SCOPES)
ALICE: Final = Principal(Reach("shop", owner="alice"))
OF_THREADS: Final = (
    tables.threads,
    tables.messages,
    tables.message_deltas,
    tables.deleted_messages,
    tables.runs,
    tables.run_steps,
    tables.read_marks,
)


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each transaction remove one row."""
    monkeypatch.setattr(thread_removal, "_ROWS", 1)
    monkeypatch.setattr(thread_removal, "_HOLD_S", 0)


async def rows_left(store: Store) -> dict[str, int]:
    """Count the rows that threads have."""

    async def count(transaction: RunWrites) -> dict[str, int]:
        found = {each.name: await transaction._value(_count_of, each) for each in OF_THREADS}  # noqa: SLF001
        return {name: number for name, number in found.items() if number}

    return await store.write(count)


def _count_of(table: Any) -> Any:
    return select(func.count()).select_from(table)


async def make_long(store: Store, **given: Any) -> ThreadId:
    """Make a thread of six messages, after more changes than those of a short one."""
    thread = await threads.create(store, ALICE, parse.new_thread({}), **given)
    await store.write(lambda transaction: transaction._rows(_set_of, thread.id, {"last_position": 20_000}))  # noqa: SLF001
    await say(store, ALICE, thread.id, *"abcdef")
    return thread.id


async def remove_left(store: Store) -> int:
    return await filling.remove_abandoned(store, now_ms() - 600_000)


async def test_a_long_thread_is_deleted_for_all_at_once_and_then_removed(store: Store) -> None:
    thread_id = await make_long(store)
    names = await make_names(store, Reach("shop", owner="alice"))

    await threads.delete(store, ALICE, thread_id)

    assert (await rows_left(store))["messages"] == 6 + 2
    for who in (SHOP, ALICE):
        with pytest.raises(NotFound):
            await threads.get(store, who, thread_id)
        with pytest.raises(NotFound):
            await threads.delete(store, who, thread_id)
        with pytest.raises(NotFound):
            await messages.list_pages(store, who, PageRead([thread_id], PageRequest(limit=9)))
        page = await threads.list_page(store, who, PageRequest(limit=9))
        assert [each.id for each in page.items] == [names.thread]
        assert await threads.count(store, who) == 1
    assert await remove_left(store) == 1
    assert (await rows_left(store))["messages"] == 2
    await threads.delete(store, SHOP, names.thread)
    assert await rows_left(store) == {}


@pytest.mark.parametrize(
    ("what", "number", "is_long"),
    [
        ("nothing", 0, False),
        ("messages", 1_000, False),
        ("messages", 1_001, True),
        ("readers", 1_000, False),
        ("readers", 1_001, True),
        ("bytes", 1 << 20, False),
        ("bytes", (1 << 20) + 1, True),
        ("deltas", 1 << 20, False),
        ("deltas", (1 << 20) + 1, True),
        ("positions", 10_000, False),
        ("positions", 10_001, True),
    ],
)
async def test_a_thread_is_long_by_any_of_what_it_has(store: Store, what: str, number: int, *, is_long: bool) -> None:
    thread = await threads.create(store, SHOP, parse.new_thread({}))
    own = {"project_id": "shop", "thread_id": thread.id}

    async def fill(transaction: RunWrites) -> None:
        if what == "messages":
            await transaction._rows(_set_of, thread.id, {"message_count": number})  # noqa: SLF001
        if what == "positions":
            await transaction._rows(_set_of, thread.id, {"last_position": number})  # noqa: SLF001
        if what == "readers":
            rows = [own | {"reader": f"user:{n}", "position": 0} for n in range(number)]
            await transaction._insert(tables.read_marks, *rows)  # noqa: SLF001
        if what == "bytes":
            await transaction._insert(tables.runs, large(tables.runs, thread.id, 1, number - len("{}[]")))  # noqa: SLF001
            await transaction._insert(tables.run_steps, large(tables.run_steps, thread.id, 2, len("[]")))  # noqa: SLF001
        if what == "deltas":
            await transaction._insert(tables.message_deltas, large(tables.message_deltas, thread.id, 1, number))  # noqa: SLF001

    await store.write(fill)

    await threads.delete(store, SHOP, thread.id)

    async with store.read() as reads:
        assert (await reads.list_abandoned(1, 9) != []) is is_long
    assert (await rows_left(store) == {}) is not is_long


def large(table: Table, thread_id: str, position: int, size: int) -> dict[str, Any]:
    """Make a row of a thread whose long text has a size."""
    text = dict.fromkeys(("settings", "details", "text"), "x" * size)
    names = {"project_id": "shop", "thread_id": thread_id, "id": f"id_{position}", "run_id": "r", "message_id": "m"}
    numbers = dict.fromkeys(("created_at", "expires_at", "number", "part_index", "start"), 1)
    row = {"metadata": "{}", "assistant_id": "a", "status": "completed", "type": "t", "position": position}
    return {name: value for name, value in (text | names | numbers | row).items() if name in table.c}


@pytest.mark.parametrize("table", [tables.runs, tables.run_steps, tables.message_deltas], ids=str)
async def test_one_statement_removes_a_limited_number_of_bytes(store: Store, table: Table) -> None:
    thread = await threads.create(store, SHOP, parse.new_thread({}))
    rows = [large(table, thread.id, position, 600_000) for position in range(1, 4)]
    await store.write(lambda transaction: transaction._insert(table, *rows))  # noqa: SLF001

    more = await store.write(lambda transaction: transaction.remove_others(SHOP.reach, thread.id, 100))

    assert more
    assert (await rows_left(store))[table.name] == 2


def test_each_text_of_a_thread_is_counted_or_bounded() -> None:
    """Bounded are ids, names of users and what idempotency keys consist of."""
    texts = {
        (table.name, column.name)
        for table in OF_THREADS[1:]
        for column in table.c
        if isinstance(column.type, Text) and not re.search("(^|_)(id|by|scope|key|fingerprint)$", column.name)
    }
    counted = {(table.name, name) for table, names in removal._LARGE.items() for name in names}  # noqa: SLF001

    bounded = {
        ("messages", "role"),
        ("messages", "status"),
        ("messages", "incomplete_reason"),
        ("messages", "author"),
        ("runs", "status"),
        ("run_steps", "status"),
        ("run_steps", "type"),
        ("read_marks", "reader"),
    }
    assert texts - counted == bounded


def _set_of(thread_id: str, values: dict[str, int]) -> Any:
    return update(tables.threads).where(tables.threads.c.id == thread_id).values(values)


async def test_who_follows_gets_the_deletion_once_and_nothing_of_the_removal(store: Store, hub: Hub) -> None:
    thread_id = await make_long(store)
    place = await follow.start(store, hub, ALICE, thread_id, None)
    of_thread = asyncio.create_task(rest_of(follow.changes(store, hub, ALICE, thread_id, place)))
    late = await follow_list.start(store, hub, ALICE, None, None)
    of_list = following_list(store, hub, ALICE, late)
    await asyncio.sleep(0)

    await threads.delete(store, ALICE, thread_id)
    told = await of_thread
    async with store.read() as reads:
        seen = await reads.current_snapshot()
    await remove_left(store)
    async with store.read() as reads:
        later = await reads.list_thread_changes(ALICE.reach, seen, 9)
    await erasing.erase(store, SHOP, "alice")  # ends the list

    assert [type(each.item) for each in told] == [ThreadDeleted]
    assert later.items == []
    assert [type(each.item) for each in await of_list] == [ThreadDeleted]


async def test_a_lost_hint_of_the_deletion_is_made_good_by_the_sweep(store: Store) -> None:
    topic = ("shop", await make_long(store))
    before = await store.last_positions([topic])
    seen, _ = await store.changed_owners(["shop"], None)

    await threads.delete(store, ALICE, topic[1])

    assert await store.last_positions([topic]) != before
    assert (await store.changed_owners(["shop"], seen))[1] == [("shop", None, None)]


async def test_a_deletion_is_audited_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, audit.LOGGER)
    thread_id = await make_long(store)

    await threads.delete(store, SHOP, thread_id)
    await remove_left(store)

    told = [each.getMessage() for each in caplog.records if each.name == audit.LOGGER]
    assert [orjson.loads(each)["event"] for each in told] == ["thread.deleted"]


async def test_a_server_removes_what_it_has_deleted_without_delay(store: Store) -> None:
    running = asyncio.create_task(filling.watch(store))
    async with asyncio.timeout(PATIENCE_S):
        await threads.delete(store, ALICE, await make_long(store))
        while await rows_left(store):  # noqa: ASYNC110  (it waits for the database)
            await asyncio.sleep(0)
    running.cancel()


async def test_what_a_server_that_died_has_left_is_removed_by_another_from_where_it_stopped(store: Store) -> None:
    thread_id = await make_long(store)
    await threads.delete(store, ALICE, thread_id)
    reach = Reach("shop").and_unfinished()
    step = partial(thread_removal._step, reach=reach, thread_id=thread_id, position=0, is_due=None)  # noqa: SLF001
    await store.write(step)

    assert (await rows_left(store))["messages"] == 5
    assert await remove_left(store) == 1
    assert await rows_left(store) == {}


async def test_several_servers_remove_it_at_once(store: Store) -> None:
    await threads.delete(store, ALICE, await make_long(store))

    await asyncio.gather(*(remove_left(store) for _ in range(4)))

    assert await rows_left(store) == {}


async def test_only_one_of_several_deletions_finds_it(store: Store) -> None:
    thread_id = await make_long(store)

    told = await asyncio.gather(*(threads.delete(store, SHOP, thread_id) for _ in range(4)), return_exceptions=True)

    assert sorted(map(type, told), key=str) == [type(None), *[NotFound] * 3]


async def test_others_write_between_the_steps(store: Store) -> None:
    other = await threads.create(store, SHOP, parse.new_thread({}))
    await threads.delete(store, ALICE, await make_long(store))

    removing = asyncio.create_task(remove_left(store))
    async with asyncio.timeout(PATIENCE_S):
        await say(store, SHOP, other.id, *"abc")
    await removing

    assert await rows_left(store) == {"threads": 1, "messages": 3}


async def test_it_keeps_its_place_for_cursors(store: Store) -> None:
    older = await threads.create(store, SHOP, parse.new_thread({}))
    thread_id = await make_long(store)
    await threads.delete(store, SHOP, thread_id)

    for _ in range(2):
        page = await threads.list_page(store, SHOP, PageRequest(limit=9, after=thread_id))
        assert [each.id for each in page.items] == [older.id]
        await remove_left(store)


async def test_its_own_key_stays_taken_and_those_of_its_messages_become_free(store: Store) -> None:
    new = parse.new_thread({})
    thread_id = await make_long(store, attempt=Attempt("of thread"))
    other = await threads.create(store, ALICE, new)
    keyed, same = new_message("hi"), new_message("other")
    await messages.create(store, ALICE, thread_id, keyed, Attempt("of message"))

    await threads.delete(store, ALICE, thread_id)

    with pytest.raises(NotFound):
        await threads.create(store, ALICE, new, Attempt("of thread"))
    with pytest.raises(NotFound, match=thread_id):
        await messages.create(store, ALICE, thread_id, keyed, Attempt("of message"))
    with pytest.raises(IdempotencyKeyInUse):  # which asks to send it again
        await messages.create(store, ALICE, other.id, same, Attempt("of message"))
    await remove_left(store)
    with pytest.raises(NotFound):
        await threads.create(store, ALICE, new, Attempt("of thread"))
    assert (await messages.create(store, ALICE, other.id, same, Attempt("of message"))).thread_id == other.id


async def test_it_cannot_be_forked_nor_be_the_source_of_a_fork_that_goes_on(store: Store) -> None:
    thread_id = await make_long(store)
    begun = asyncio.create_task(forking.fork(store, SHOP, thread_id, NewFork()))
    await asyncio.sleep(0)
    await threads.delete(store, SHOP, thread_id)

    with pytest.raises(NotFound):
        await begun
    with pytest.raises(NotFound):
        await forking.fork(store, SHOP, thread_id, NewFork())
    await remove_left(store)
    assert await rows_left(store) == {}


async def test_an_erasure_takes_what_is_left_of_it_and_its_owner(store: Store) -> None:
    thread_id = await make_long(store)
    await threads.delete(store, ALICE, thread_id)

    would_be = await erasing.count(store, SHOP, "alice")
    await erasing.erase(store, SHOP, "alice")

    assert would_be == erasing.Erased()
    assert await rows_left(store) == {}
    with pytest.raises(InvalidRequest):
        await threads.list_page(store, ALICE, PageRequest(limit=9, after=thread_id))


async def test_its_run_is_due_for_no_worker_and_the_lease_is_lost(store: Store) -> None:
    thread_id = await make_long(store)
    run = (await make_names(store, Reach("shop"))).run

    async def lock(transaction: RunWrites) -> None:
        found = await transaction.get_run(SHOP.reach, run)
        assert found is not None
        position = await transaction.lock_thread(SHOP.reach, thread_id, "run_own")
        own = found._replace(id="run_own", thread_id=thread_id, position=position, status_value="queued")
        await transaction.add_run(SHOP.reach, own, None)

    await store.write(lock)
    assert await lease(store, ("shop", "run_own"), "worker") is not None

    await threads.delete(store, SHOP, thread_id)

    assert await renew(store, [("shop", "run_own")], "worker") == [None]
    assert await lease(store, ("shop", "run_own"), "another") is None
    with pytest.raises(NotFound):
        await runs.get(store, SHOP, thread_id, "run_own")
    assert await runs.find(store, SHOP, "run_own") is None
