"""A follower of the list of threads gets every change, whatever commits when."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core import follow_list, messages, streaming, threads
from gateway.domain import parse
from gateway.domain.change import ThreadCreated, ThreadDeleted, ThreadMoved, ThreadRead, ThreadRemoved, ThreadUpdated
from gateway.domain.message import MessagePatch
from gateway.domain.page import PageRequest
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import NewThread, ThreadPatch
from gateway.domain.thread_list import MetadataMatch, Selection, ThreadFilter
from gateway.errors import InvalidRequest
from gateway.store.reads import Reads
from tests.effort import times
from tests.following import PATIENCE_S, WHOLE, begin, make_thread, say, take, until

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.snapshot import Snapshot
    from gateway.events.hub import Hub


_NUMBERS = count()
MANY: Final = times(fast=30, slow=1_000)


async def received(store: Store, hub: Hub, who: Principal, after: str | None, count: int) -> list[Any]:
    """Give so many changes after a cursor."""
    place = await follow_list.start(store, hub, who, after, None)
    async with aclosing(follow_list.changes(store, hub, who, place)) as found:
        return [each.item for each in await take(found, count)]


async def test_each_kind_of_change_is_emitted(store: Store, hub: Hub, who: Principal) -> None:
    place = await follow_list.start(store, hub, who, None, None)
    kinds: list[type] = []
    async with aclosing(follow_list.changes(store, hub, who, place)) as found:

        async def next_item() -> Any:
            [event] = await take(found, 1)
            kinds.append(type(event.item))
            return event.item

        thread = await make_thread(store, who)
        assert (await next_item()).thread.id == thread
        await say(store, who, thread, "hello")
        assert (await next_item()).thread.message_count == 1
        growing = (await begin(store, who, thread)).id
        await next_item()
        await streaming.append_text(store, who, growing, "text", is_read=False)
        await streaming.append_text(store, who, growing, "text", is_read=False)
        await streaming.finish(store, who, growing, WHOLE)
        await next_item()
        await messages.update(store, who, thread, growing, MessagePatch({"a": "b"}))
        await next_item()
        await messages.delete(store, who, thread, growing)
        assert (await next_item()).thread.message_count == 1
        await threads.update(store, who, thread, ThreadPatch(metadata={"a": "b"}))
        assert (await next_item()).thread.metadata == {"a": "b"}
        await threads.delete(store, who, thread)
        assert (await next_item()).thread_id == thread

    moved = [ThreadMoved] * 3
    assert kinds == [ThreadCreated, *moved, ThreadUpdated, ThreadUpdated, ThreadUpdated, ThreadDeleted]


async def test_what_was_missed_comes_first_and_once_for_each_thread(store: Store, hub: Hub, who: Principal) -> None:
    old = await make_thread(store, who)
    await say(store, who, old, "before")
    begun = await follow_list.cursor(store, hub, who)
    new, gone = await make_thread(store, who), await make_thread(store, who)
    await say(store, who, old, "one", "two")
    await say(store, who, new, "one")
    await threads.delete(store, who, gone)

    found = await received(store, hub, who, begun, 3)

    assert [type(each) for each in found] == [ThreadMoved, ThreadCreated, ThreadDeleted]
    assert [each.thread.id for each in found[:2]] == [old, new]
    assert found[0].thread.message_count == 3


async def test_an_end_user_gets_changes_of_own_threads_alone(store: Store, hub: Hub) -> None:
    alice, bob, all_ = (Principal(Reach("default", owner=owner)) for owner in ("alice", "bob", None))
    other = Principal(Reach("other"))
    begun = await follow_list.cursor(store, hub, all_)
    for who in (bob, other, all_, alice):
        thread = await make_thread(store, who)
        await say(store, who, thread, "hello")
        await threads.delete(store, who, await make_thread(store, who))

    kinds = [type(each) for each in await received(store, hub, alice, begun, 2)]
    own = [each.thread.id for each in await received(store, hub, alice, begun, 1)]
    of_project = await received(store, hub, all_, begun, 6)

    assert (kinds, own) == ([ThreadCreated, ThreadDeleted], [thread])
    assert len(of_project) == 6


@pytest.mark.parametrize("cursor", ["", "0", "x", "1-0", "7fffffff-{mark}", "3.4-{mark}", "3.1.2-{mark}", "msg_1"])
async def test_a_cursor_of_nothing_is_refused(store: Store, hub: Hub, who: Principal, cursor: str) -> None:
    _, mark = await follow_list.start(store, hub, who, None, None)

    with pytest.raises(InvalidRequest, match="cursor of an event"):
        await follow_list.start(store, hub, who, cursor.replace("-{mark}", mark), None)


@pytest.mark.parametrize("batch", [1, 2, 3])
async def test_a_long_absence_is_made_good_in_batches(
    store: Store, hub: Hub, who: Principal, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_list, "BATCH", batch)
    begun = await follow_list.cursor(store, hub, who)
    made = [await make_thread(store, who) for _ in range(5)]
    for each in made:
        await say(store, who, each, "hello")

    cursor, seen = begun, dict[str, int]()
    for _ in range(40):
        place = await follow_list.start(store, hub, who, cursor, None)
        async with aclosing(follow_list.changes(store, hub, who, place)) as found:
            [event] = await take(found, 1)
        cursor = event.cursor
        assert not isinstance(event.item, ThreadDeleted | ThreadRead)
        seen[event.item.thread.id] = event.item.thread.message_count
        if seen == dict.fromkeys(made, 1):
            break

    assert seen == dict.fromkeys(made, 1)


A_IS_B: Final = ThreadFilter((MetadataMatch("a", ("b",)),))


async def test_a_filter_emits_what_enters_and_what_leaves(store: Store, hub: Hub, who: Principal) -> None:
    thread, other = await make_thread(store, who), await make_thread(store, who)
    place = await follow_list.start(store, hub, who, None, None)
    async with aclosing(follow_list.changes(store, hub, who, place, A_IS_B)) as found:
        await threads.update(store, who, thread, ThreadPatch(metadata={"a": "b"}))
        assert [type(each.item) for each in await take(found, 1)] == [ThreadUpdated]
        await say(store, who, other, "not shown")
        await say(store, who, thread, "shown")
        [event] = await take(found, 1)
        assert isinstance(event.item, ThreadMoved)
        assert event.item.thread.id == thread
        await threads.update(store, who, thread, ThreadPatch(metadata={"a": "c"}))
        assert [type(each.item) for each in await take(found, 1)] == [ThreadRemoved]
        await say(store, who, thread, "not shown")
        await threads.delete(store, who, other)
        assert [type(each.item) for each in await take(found, 1)] == [ThreadDeleted]


async def test_a_new_thread_leaves_a_filter_if_it_was_changed(store: Store, hub: Hub, who: Principal) -> None:
    place = await follow_list.start(store, hub, who, None, None)
    await make_thread(store, who)  # nobody can have seen this one in the list
    matched = (await threads.create(store, who, NewThread({"a": "b"}, {}))).id
    await threads.update(store, who, matched, ThreadPatch(metadata={"a": "c"}))
    async with aclosing(follow_list.changes(store, hub, who, place, A_IS_B)) as found:
        [event] = await take(found, 1)

    assert isinstance(event.item, ThreadRemoved)
    assert event.item.thread.id == matched


async def test_a_new_thread_leaves_a_filter_of_times_by_its_first_message(
    store: Store, hub: Hub, who: Principal
) -> None:
    place = await follow_list.start(store, hub, who, None, None)
    thread = await make_thread(store, who)
    begun = (await threads.get(store, who, thread)).activity_at
    assert begun is not None
    await say(store, who, thread, "later")
    only = ThreadFilter(active_before=begun + 1)
    async with aclosing(follow_list.changes(store, hub, who, place, only)) as found:
        [event] = await take(found, 1)

    assert isinstance(event.item, ThreadRemoved)


@given(
    metadata=st.dictionaries(st.sampled_from("ab"), st.sampled_from(["", "x", "y\0"])),
    owner=st.sampled_from([None, "alice"]),
    only=st.builds(
        ThreadFilter,
        st.lists(
            st.builds(
                MetadataMatch,
                st.sampled_from("abc"),
                st.sampled_from([None, ("x",), ("", "y\0")]),
                st.booleans(),
            ).map(lambda each: each._replace(values=None) if each.is_missing else each),
            max_size=3,
        ).map(tuple),
        st.sampled_from([None, "alice", "bob"]),
        st.sampled_from([None, True, False]),
        created_after=st.sampled_from([None, 0, 1 << 52]),
        active_before=st.sampled_from([None, 0, 1 << 52]),
    ),
)
@example(metadata={}, owner=None, only=ThreadFilter(reader="bob"))  # of every follower with a key who names a reader
@example(metadata={}, owner=None, only=ThreadFilter(has_owner=True))
async def test_a_filter_matches_what_the_list_has(
    store: Store, metadata: dict[str, str], owner: str | None, only: ThreadFilter
) -> None:
    project = Principal(Reach(f"project_{next(_NUMBERS)}"))
    new = parse.new_thread({"metadata": metadata, "owner": owner})
    thread = (await threads.create(store, project, new)).id

    listed = await threads.list_page(store, project, PageRequest(), Selection(only=only))

    read = await threads.get(store, project, thread)
    assert only.matches(read) == (len(listed.items) == 1)


async def test_one_read_for_each_change_serves_all_followers(
    store: Store, hub: Hub, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reads = Reads.list_thread_changes, []

    async def counting(own: Reads, reach: Reach, seen: Snapshot, *others: Any) -> Any:
        found = await read(own, reach, seen, *others)
        if found.items:  # the hint of a server may come again by the database, after the change was read
            reads.append((seen, found.seen))
        return found

    monkeypatch.setattr(Reads, "list_thread_changes", counting)
    thread = await make_thread(store, who)
    filters = [None, A_IS_B, ThreadFilter(has_owner=False)]
    begun = [await follow_list.start(store, hub, who, None, None) for _ in range(MANY)]
    found = [follow_list.changes(store, hub, who, at, filters[n % 3]) for n, at in enumerate(begun)]
    asked = [asyncio.create_task(anext(each)) for each in found]
    await until(lambda: waiting_for_list(hub, who) == MANY)
    counts: list[int] = []
    # At the first change, those that began at places of their own meet.
    while len(counts) < 3:
        reads.clear()
        await say(store, who, thread, "hello")
        told = [task for number, task in enumerate(asked) if filters[number % 3] is not A_IS_B]
        await asyncio.wait_for(asyncio.gather(*told), PATIENCE_S)
        asked = [asyncio.create_task(anext(found[k])) if task.done() else task for k, task in enumerate(asked)]
        await until(lambda: waiting_for_list(hub, who) == MANY)
        if not any(before.open or after.open for before, after in reads):  # else others wrote in this cluster, too
            counts.append(len(reads))

    assert counts[1:] == [1, 1]
    for each in asked:
        each.cancel()
    await asyncio.wait(asked)
    for follower in found:
        await follower.aclose()
    assert not hub.has_listeners


def waiting_for_list(hub: Hub, who: Principal) -> int:
    return len(hub.listen_to_list((who.reach.project_id, who.reach.owner))._waiting)  # noqa: SLF001
