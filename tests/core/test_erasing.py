"""Erasing an end user: everything of that person goes, nothing of anybody else, whatever interrupts it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gateway.core import erasing, follow, thread_removal, threads
from gateway.core.erasing import Erased
from gateway.domain import parse
from gateway.domain.change import ThreadDeleted
from gateway.domain.page import PageRequest
from gateway.domain.principal import ALL_SCOPES, KEY_SCOPES, Principal, Reach
from gateway.errors import Forbidden, InvalidRequest, NotFound
from tests.following import rest_of, say

if TYPE_CHECKING:
    from gateway.core import Store
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
    monkeypatch.setattr(thread_removal, "_MESSAGES", 2)
    monkeypatch.setattr(thread_removal, "_HOLD_S", 0)
    thread_id = await thread_of(store, ALICE, *"abcde")
    reach = Reach("shop", owner="alice")
    await store.write(partial(thread_removal._step, reach=reach, thread_id=thread_id, position=0, is_due=None))  # noqa: SLF001

    left = await threads.get(store, ALICE, thread_id)
    erased = await erasing.erase(store, SHOP, "alice")

    assert left.message_count == 3
    assert erased == Erased(threads=1, messages=3)
    with pytest.raises(NotFound):
        await threads.get(store, SHOP, thread_id)


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
