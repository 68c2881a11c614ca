"""Erasing an end user: everything of that person goes, nothing of anybody else, whatever interrupts it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import erasing, follow, follow_list, thread_removal, threads
from gateway.core.erasing import Erased
from gateway.domain import parse
from gateway.domain.change import OwnerErased, ThreadDeleted
from gateway.domain.page import PageRequest
from gateway.domain.principal import ALL_SCOPES, KEY_SCOPES, Principal, Reach
from gateway.domain.snapshot import Snapshot
from gateway.domain.thread_list import ThreadFilter
from gateway.errors import Forbidden, InvalidRequest, NotFound
from tests.following import rest_of, say, take

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.core.follow_list import ListPlace
    from gateway.domain.ids import ThreadId
    from gateway.events.hub import Hub

SHOP = Principal(Reach("shop"), KEY_SCOPES)
ALICE, BOB = (Principal(Reach("shop", owner=owner)) for owner in ("alice", "bob"))


async def thread_of(store: Store, who: Principal, *texts: str) -> ThreadId:
    thread = await threads.create(store, who, parse.new_thread({}))
    await say(store, who, thread.id, *texts)
    return thread.id


async def test_an_erasure_deletes_all_threads_of_an_end_user_and_counts_them(store: Store) -> None:
    for texts in (("one", "two"), (), ("three",)):
        await thread_of(store, ALICE, *texts)

    would_be = await erasing.count(store, SHOP, "alice")
    erased = await erasing.erase(store, SHOP, "alice")

    assert would_be == erased == Erased(threads=3, messages=3)
    assert await threads.count(store, ALICE) == 0
    assert await erasing.erase(store, SHOP, "alice") == Erased()


@pytest.mark.parametrize("hold_s", [0, 0.03], ids=["in steps", "at once"])
async def test_an_end_user_is_erased_by_several_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, hold_s: float
) -> None:
    monkeypatch.setattr(thread_removal, "_HOLD_S", hold_s)
    for _ in range(3):
        for _ in range(5):
            await thread_of(store, ALICE, "one")

        erased = await asyncio.gather(*(erasing.erase(store, SHOP, "alice") for _ in range(6)))

        assert (sum(each.threads for each in erased), sum(each.messages for each in erased)) == (5, 5)
        assert await threads.count(store, ALICE) == 0


async def test_an_erasure_leaves_threads_of_others_and_of_other_projects(store: Store) -> None:
    kept = await thread_of(store, BOB, "bob's")
    elsewhere = Principal(Reach("rival", owner="alice"))
    foreign = await thread_of(store, elsewhere, "another alice's")
    unowned = await thread_of(store, SHOP, "nobody's")
    await thread_of(store, ALICE, "alice's")

    await erasing.erase(store, SHOP, "alice")

    for who, thread_id in ((BOB, kept), (elsewhere, foreign), (SHOP, unowned)):
        assert (await threads.get(store, who, thread_id)).message_count == 1


async def test_an_erasure_forgets_the_owner_of_threads_deleted_before_and_keeps_their_places(store: Store) -> None:
    first, gone, _ = [await thread_of(store, who) for who in (BOB, ALICE, BOB)]
    await threads.delete(store, ALICE, gone)

    await erasing.erase(store, SHOP, "alice")

    after_it = await threads.list_page(store, SHOP, PageRequest(limit=10, after=gone))
    assert [each.id for each in after_it.items] == [first]
    with pytest.raises(InvalidRequest, match="after"):
        await threads.list_page(store, ALICE, PageRequest(limit=10, after=gone))


async def test_an_erasure_ends_who_follows_a_thread(store: Store, hub: Hub) -> None:
    thread_id = await thread_of(store, ALICE, "alice's")
    place = await follow.start(store, hub, ALICE, thread_id, None)
    rest = asyncio.create_task(rest_of(follow.changes(store, hub, ALICE, thread_id, place)))

    await erasing.erase(store, SHOP, "alice")

    assert [type(each.item) for each in await rest] == [ThreadDeleted]


async def test_an_erasure_continues_where_another_was_interrupted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_removal, "_ROWS", 2)
    monkeypatch.setattr(thread_removal, "_HOLD_S", 0)
    thread_id = await thread_of(store, ALICE, *"abcde")
    reach = Reach("shop", owner="alice").and_unfinished()
    await store.write(partial(thread_removal._step, reach=reach, thread_id=thread_id, position=0, is_due=None))  # noqa: SLF001

    with pytest.raises(NotFound):
        await threads.get(store, ALICE, thread_id)
    async with store.read() as reads:
        assert await reads.list_abandoned(1, 9) == [("shop", thread_id)]
    assert await erasing.erase(store, SHOP, "alice") == Erased(threads=1, messages=3)
    async with store.read() as reads:
        assert await reads.list_abandoned(1, 9) == []


async def test_an_erasure_takes_threads_that_are_created_meanwhile(store: Store) -> None:
    for _ in range(3):
        await thread_of(store, ALICE, "before")

    erased, _ = await asyncio.gather(erasing.erase(store, SHOP, "alice"), thread_of(store, ALICE))

    left = await threads.count(store, ALICE)
    assert erased.threads + left == 4  # one that is created after the last look stays


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(Principal(Reach("shop"), ALL_SCOPES), id="a key without the scope"),
        pytest.param(Principal(Reach("shop", owner="alice"), KEY_SCOPES), id="an end user"),
        pytest.param(Principal(Reach("shop", thread_id="thread_a"), KEY_SCOPES), id="a thread token"),
    ],
)
async def test_only_a_key_with_the_scope_can_erase(store: Store, who: Principal) -> None:
    await thread_of(store, ALICE)

    with pytest.raises(Forbidden):
        await erasing.erase(store, who, "alice")
    with pytest.raises(Forbidden):
        await erasing.count(store, who, "alice")

    assert await threads.count(store, ALICE) == 1


def following_list(store: Store, hub: Hub, who: Principal, place: ListPlace, only: ThreadFilter | None = None) -> Any:
    return asyncio.create_task(rest_of(follow_list.changes(store, hub, who, place, only)))


OF_ALICE = ThreadFilter(owner="alice")


@pytest.mark.parametrize(("who", "only"), [(ALICE, None), (SHOP, OF_ALICE)], ids=["an end user", "a filter"])
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_live_list_of_an_erased_end_user_gets_the_deletions_and_ends(
    store: Store, hub: Hub, who: Principal, only: ThreadFilter | None, *, is_late: bool
) -> None:
    made = [await thread_of(store, ALICE, "alice's") for _ in range(3)]
    kept = await thread_of(store, BOB, "bob's")
    place = await follow_list.start(store, hub, who, None, None)
    rest = None if is_late else following_list(store, hub, who, place, only)
    await asyncio.sleep(0)

    await threads.delete(store, ALICE, made[0])
    await erasing.erase(store, SHOP, "alice")
    found = await (rest or following_list(store, hub, who, place, only))

    assert {type(each.item) for each in found} == {ThreadDeleted}
    assert {each.item.thread_id for each in found} == set(made)
    assert kept not in {each.item.thread_id for each in found}


async def test_a_live_list_ends_also_where_the_end_user_has_no_thread(store: Store, hub: Hub) -> None:
    rest = following_list(store, hub, ALICE, await follow_list.start(store, hub, ALICE, None, None))

    await erasing.erase(store, SHOP, "alice")

    assert await rest == []


async def test_live_lists_of_others_and_of_the_project_go_on(store: Store, hub: Hub) -> None:
    gone = await thread_of(store, ALICE)
    followed = [
        follow_list.changes(store, hub, who, await follow_list.start(store, hub, who, None, None))
        for who in (SHOP, BOB)
    ]
    await erasing.erase(store, SHOP, "alice")
    new = await thread_of(store, BOB)

    taken: list[list[Any]] = [await take(each, n) for each, n in zip(followed, (2, 1), strict=True)]
    [of_project, later], [of_bob] = taken

    assert of_project.item.thread_id == gone
    assert later.item.thread.id == of_bob.item.thread.id == new
    for each in followed:
        await each.aclose()


async def test_cursors_of_an_erased_end_user_are_unknown_and_those_of_the_project_stay(store: Store, hub: Hub) -> None:
    before = {who: await follow_list.cursor(store, hub, who) for who in (SHOP, BOB, ALICE)}
    await erasing.erase(store, SHOP, "alice")
    after = await follow_list.cursor(store, hub, ALICE)

    with pytest.raises(InvalidRequest, match="cursor of an event"):
        await follow_list.start(store, hub, ALICE, before[ALICE], None)
    for who, cursor in ((SHOP, before[SHOP]), (BOB, before[BOB]), (ALICE, after)):
        assert await follow_list.start(store, hub, who, cursor, None)


async def test_an_end_user_has_a_live_list_again_after_an_erasure_until_the_next_one(store: Store, hub: Hub) -> None:
    await erasing.erase(store, SHOP, "alice")
    cursor = await follow_list.cursor(store, hub, ALICE)
    new = await thread_of(store, ALICE)
    changes = follow_list.changes(store, hub, ALICE, await follow_list.start(store, hub, ALICE, cursor, None))

    created: Any
    [created] = await take(changes, 1)
    rest: Any = asyncio.create_task(rest_of(changes))
    await erasing.erase(store, SHOP, "alice")

    assert created.item.thread.id == new
    assert [each.item.thread_id for each in await rest] == [new]
    with pytest.raises(InvalidRequest):
        await follow_list.start(store, hub, ALICE, cursor, None)


async def test_places_of_deleted_threads_are_forgotten_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_PLACES", 2)
    for _ in range(5):
        await threads.delete(store, ALICE, await thread_of(store, ALICE))

    await erasing.erase(store, SHOP, "alice")

    async with store.read() as reads:
        found = await reads.list_thread_changes(ALICE.reach, Snapshot(1), 9)
    assert [type(each.change) for each in found.items] == [ThreadDeleted] * 5 + [OwnerErased]


async def test_a_lost_hint_of_an_erasure_is_made_good_by_the_sweep(store: Store) -> None:
    seen, _ = await store.changed_owners(["shop"], None)

    await erasing.erase(store, SHOP, "alice")

    _, changed = await store.changed_owners(["shop"], seen)
    assert changed == [("shop", None, None)]
