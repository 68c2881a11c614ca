"""A follower of the list of threads gets every change, whatever commits when."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import follow_list, messages, streaming, threads
from gateway.domain.change import ThreadCreated, ThreadDeleted, ThreadMoved, ThreadUpdated
from gateway.domain.message import MessagePatch
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import ThreadPatch
from gateway.errors import InvalidRequest
from tests.following import WHOLE, begin, make_thread, say, take

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.events.hub import Hub


async def received(store: Store, hub: Hub, who: Principal, after: str | None, count: int) -> list[Any]:
    """Give so many changes after a cursor."""
    place = await follow_list.start(store, hub, who, after)
    async with aclosing(follow_list.changes(store, hub, who, place)) as found:
        return [each.item for each in await take(found, count)]


async def test_each_kind_of_change_is_emitted(store: Store, hub: Hub, who: Principal) -> None:
    place = await follow_list.start(store, hub, who, None)
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
    _, mark = await follow_list.start(store, hub, who, None)

    with pytest.raises(InvalidRequest, match="cursor of an event"):
        await follow_list.start(store, hub, who, cursor.replace("-{mark}", mark))


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
        place = await follow_list.start(store, hub, who, cursor)
        async with aclosing(follow_list.changes(store, hub, who, place)) as found:
            [event] = await take(found, 1)
        cursor = event.cursor
        assert not isinstance(event.item, ThreadDeleted)
        seen[event.item.thread.id] = event.item.thread.message_count
        if seen == dict.fromkeys(made, 1):
            break

    assert seen == dict.fromkeys(made, 1)
