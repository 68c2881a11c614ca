"""A fork is filled in short transactions, is visible whole or not at all, and leaves nothing where it breaks off."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.core import erasing, filling, follow_list, forking, messages, retention, thread_removal, threads
from gateway.core.clock import now_ms
from gateway.domain import parse
from gateway.domain.change import ThreadCreated
from gateway.domain.idempotency import Attempt
from gateway.domain.page import Order, PageRead, PageRequest
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.domain.thread import NewFork
from gateway.domain.thread_list import ALL, OrderBy, Selection, ThreadFilter
from gateway.errors import NotFound, Unavailable
from tests.following import say, take
from tests.pace import patience
from tests.stepping import stepping

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.events.hub import Hub
    from gateway.store.filling import FillWrites
    from tests.stepping import Between

SHOP: Final = Principal(Reach("shop"), KEY_SCOPES)
ALICE: Final = Principal(Reach("shop", owner="alice"))
TEXTS: Final = "abcde"
SELECTIONS: Final = (
    ALL,
    Selection(by=OrderBy.ACTIVITY),
    Selection(only=ThreadFilter(has_owner=True)),
    Selection(by=OrderBy.ACTIVITY, only=ThreadFilter(owner="alice")),
)


class Interrupted(Exception):
    """What breaks a fork off."""


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each transaction add one message."""
    monkeypatch.setattr(filling, "_CHUNK_BYTES", 0)
    monkeypatch.setattr(filling, "_HOLD_S", 0)


@pytest.fixture
async def source(store: Store) -> ThreadId:
    thread = await threads.create(store, ALICE, parse.new_thread({"metadata": {"a": "b"}}))
    await say(store, ALICE, thread.id, *TEXTS)
    return thread.id


async def fork_with(store: Store, source: ThreadId, between: Between, **given: Any) -> Any:
    """Fork a thread, and call a function with the number of its transaction after each."""
    with stepping(store, between):
        return await forking.fork(store, SHOP, source, NewFork(), **given)


async def found(store: Store, who: Principal) -> list[Any]:
    """Give all that lists and counts have."""
    pages = [await threads.list_page(store, who, PageRequest(limit=9), each) for each in SELECTIONS]
    counts = [await threads.count(store, who), await erasing.count(store, SHOP, "alice")]
    async with store.read() as reads:
        overdue = await reads.overdue_threads(who.reach, now_ms() + 1, 9)
    return [[each.id for each in page.items] for page in pages] + counts + overdue


async def texts(store: Store, thread_id: ThreadId) -> list[str]:
    [page] = await messages.list_pages(store, SHOP, PageRead([thread_id], PageRequest(limit=99, order=Order.ASC)))
    return [each.text for each in page.items]


async def test_a_fork_is_in_no_list_before_its_last_transaction(store: Store, source: ThreadId) -> None:
    before, seen = [await found(store, who) for who in (SHOP, ALICE)], []

    async def look(number: int) -> None:
        if number < len(TEXTS):
            seen.append([await found(store, who) for who in (SHOP, ALICE)])

    copy = await fork_with(store, source, look)

    assert seen == [before] * (len(TEXTS) - 1)
    page = await threads.list_page(store, ALICE, PageRequest(limit=9))
    assert [each.id for each in page.items] == [copy.id, source]
    assert page.items[0] == copy
    assert await texts(store, copy.id) == list(TEXTS)


async def test_followers_get_a_fork_once_and_when_it_is_whole(store: Store, hub: Hub, source: ThreadId) -> None:
    place = await follow_list.start(store, hub, ALICE, None, None)
    changes = follow_list.changes(store, hub, ALICE, place)

    async def look(number: int) -> None:
        if number < len(TEXTS):
            async with store.read() as reads:
                assert not (await reads.list_thread_changes(ALICE.reach, place.seen, 9)).items

    copy = await fork_with(store, source, look)
    await say(store, ALICE, copy.id, "more")
    [told] = await take(changes, 1)
    await changes.aclose()

    assert isinstance(told.item, ThreadCreated)
    assert told.item.thread.id == copy.id


async def test_a_fork_has_the_messages_of_one_moment(store: Store, source: ThreadId) -> None:
    [page] = await messages.list_pages(store, SHOP, PageRead([source], PageRequest(limit=9, order=Order.ASC)))

    async def change(number: int) -> None:
        if number == 1:
            await messages.delete(store, SHOP, source, page.items[-1].id)
            await say(store, SHOP, source, "later")

    copy = await fork_with(store, source, change)

    assert await texts(store, copy.id) == list(TEXTS)


async def test_a_fork_moves_to_the_front_when_it_is_whole(store: Store, source: ThreadId) -> None:
    async def create(number: int) -> None:
        if number == 1:
            other = await threads.create(store, ALICE, parse.new_thread({}))
            while now_ms() == other.activity_at:
                pass  # of two in one millisecond, the order is that of their creation

    copy = await fork_with(store, source, create)

    newest = [await threads.list_page(store, ALICE, PageRequest(limit=1), each) for each in SELECTIONS[:2]]
    assert newest[1].items[0].id == copy.id
    assert newest[0].items[0].created_at == copy.created_at


@pytest.mark.parametrize("number", range(1, len(TEXTS)))
async def test_a_fork_that_breaks_off_leaves_nothing_that_is_visible_and_is_removed(
    store: Store, source: ThreadId, number: int
) -> None:
    before = await found(store, SHOP)

    async def interrupt(at: int) -> None:
        if at == number:
            raise Interrupted

    with pytest.raises(Interrupted):
        await fork_with(store, source, interrupt)

    assert await found(store, SHOP) == before
    assert await filling.remove_abandoned(store, now_ms() - 60_000) == 0  # it may still go on
    assert await filling.remove_abandoned(store, now_ms() + 1) == 1
    assert await found(store, SHOP) == before
    async with store.read() as reads:
        assert await reads.list_abandoned(1 << 60, 9) == []


async def test_removing_what_was_abandoned_leaves_no_place_and_no_event(
    store: Store, hub: Hub, source: ThreadId
) -> None:
    begun = await follow_list.start(store, hub, SHOP, None, None)

    async def interrupt(_number: int) -> None:
        raise Interrupted

    with suppress(Interrupted):
        await fork_with(store, source, interrupt)
    await filling.remove_abandoned(store, now_ms() + 1)

    async with store.read() as reads:
        assert not (await reads.list_thread_changes(SHOP.reach, begun.seen, 9)).items


async def test_a_fork_that_was_removed_meanwhile_fails(store: Store, source: ThreadId) -> None:
    async def remove(number: int) -> None:
        if number == 2:
            await filling.remove_abandoned(store, now_ms() + 1)

    with pytest.raises(NotFound):
        await fork_with(store, source, remove)

    assert await threads.count(store, SHOP) == 1


@pytest.mark.parametrize("number", [1, len(TEXTS) - 1])
async def test_a_source_that_is_deleted_meanwhile_is_not_forked(store: Store, source: ThreadId, number: int) -> None:
    async def delete(at: int) -> None:
        if at == number:
            await threads.delete(store, SHOP, source)

    with pytest.raises(NotFound, match=source):
        await fork_with(store, source, delete)

    assert await threads.count(store, SHOP) == 0
    async with store.read() as reads:
        assert await reads.list_abandoned(1 << 60, 9) == []


async def test_an_erasure_takes_a_fork_that_is_not_whole(store: Store, source: ThreadId) -> None:
    async def erase(number: int) -> None:
        if number == 2:
            await erasing.erase(store, SHOP, "alice")
            async with store.read() as reads:
                assert await reads.list_abandoned(1 << 60, 9) == []

    with pytest.raises(NotFound):
        await fork_with(store, source, erase)

    assert await threads.count(store, SHOP) == 0


async def test_what_is_removed_while_it_is_filled_is_not_shown(
    store: Store, source: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_removal, "_ROWS", 1)
    monkeypatch.setattr(thread_removal, "_HOLD_S", 0)

    async def remove_some(number: int) -> None:
        if number == 3:
            async with store.read() as reads:
                [(_, copy_id)] = await reads.list_abandoned(1 << 60, 9)

            async def remove_one(transaction: FillWrites) -> object:
                return await transaction.remove_messages_after(SHOP.reach.and_unfinished(), copy_id, 0, 1)

            await store.write(remove_one)

    with pytest.raises(NotFound):
        await fork_with(store, source, remove_some)


async def test_a_key_is_taken_when_its_fork_is_whole_and_then_replayed(store: Store, source: ThreadId) -> None:
    second = Attempt("key")
    others: list[Any] = []

    async def again(number: int) -> None:
        if number == 2:
            others.append(await forking.fork(store, SHOP, source, NewFork(), second))

    first = Attempt("key")
    copy = await fork_with(store, source, again, attempt=first)
    later = Attempt("key")
    replayed = await forking.fork(store, SHOP, source, NewFork(), later)

    assert {each.id for each in (copy, replayed, *others)} == {copy.id}
    assert [each.is_replay for each in (first, second, later)] == [True, False, True]
    assert await threads.count(store, SHOP) == 2
    async with store.read() as reads:
        assert await reads.list_abandoned(1 << 60, 9) == []


async def test_a_key_of_a_fork_that_broke_off_is_free(store: Store, source: ThreadId) -> None:
    async def interrupt(_number: int) -> None:
        raise Interrupted

    with suppress(Interrupted):
        await fork_with(store, source, interrupt, attempt=Attempt("key"))
    again = Attempt("key")
    copy = await forking.fork(store, SHOP, source, NewFork(), again)

    assert not again.is_replay
    assert copy.message_count == len(TEXTS)


async def test_other_writers_go_on_between_the_transactions_of_a_fork(store: Store, source: ThreadId) -> None:
    async def write(number: int) -> None:
        async with asyncio.timeout(patience(5)):
            await say(store, SHOP, source, str(number))

    copy = await fork_with(store, source, write)

    assert await texts(store, copy.id) == list(TEXTS)


async def test_retention_leaves_a_fork_that_is_not_whole(store: Store, source: ThreadId) -> None:
    async def keep(_number: int) -> None:
        await retention.delete_overdue(store, 1)

    assert (await fork_with(store, source, keep)).message_count == len(TEXTS)


async def test_a_thread_without_messages_is_forked(store: Store) -> None:
    empty = await threads.create(store, SHOP, parse.new_thread({}))

    copy = await forking.fork(store, SHOP, empty.id, NewFork())

    assert copy == await threads.get(store, SHOP, copy.id)


async def test_few_snapshots_are_open_at_once(store: Store, source: ThreadId, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.store.WAIT_S", 0.01)

    async with store.snapshot(), store.snapshot():
        with pytest.raises(Unavailable, match="copies"):
            await forking.fork(store, SHOP, source, NewFork())

    assert (await forking.fork(store, SHOP, source, NewFork())).message_count == len(TEXTS)
