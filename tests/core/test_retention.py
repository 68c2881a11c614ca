"""Retention: threads are deleted some days after their last activity, in all projects, and no others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.core import retention, threads
from gateway.core.clock import now_ms
from gateway.domain import parse
from gateway.domain.page import PageRequest
from gateway.domain.principal import Principal, Reach
from tests.following import PATIENCE_S, say

if TYPE_CHECKING:
    import pytest

    from gateway.core import Store
    from gateway.domain.ids import ThreadId

SHOP, RIVAL = Principal(Reach("shop")), Principal(Reach("rival"))
HOUR_MS = 3_600_000


async def thread_of(store: Store, who: Principal, *texts: str) -> ThreadId:
    thread = await threads.create(store, who, parse.new_thread({"owner": "alice"}))
    await say(store, who, thread.id, *texts)
    return thread.id


async def test_overdue_threads_of_all_projects_are_deleted(store: Store) -> None:
    for who in (SHOP, RIVAL):
        for texts in ((), ("a", "b")):
            await thread_of(store, who, *texts)

    deleted = await retention.delete_overdue(store, now_ms() + HOUR_MS)

    assert deleted == 4
    assert [await threads.count(store, who) for who in (SHOP, RIVAL)] == [0, 0]


async def test_a_thread_with_later_activity_stays(store: Store) -> None:
    await thread_of(store, SHOP, "a")
    before = now_ms() + 1
    while now_ms() <= before:  # the next activity is in a later millisecond
        pass
    kept = await thread_of(store, SHOP, "b")

    await retention.delete_overdue(store, before)

    assert [each.id for each in (await threads.list_page(store, SHOP, PageRequest(limit=10))).items] == [kept]


async def test_nothing_is_deleted_where_nothing_is_overdue(store: Store) -> None:
    await thread_of(store, SHOP, "a")

    assert await retention.delete_overdue(store, now_ms() - HOUR_MS) == 0
    assert await threads.count(store, SHOP) == 1


async def test_a_thread_that_is_written_to_meanwhile_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    written = await thread_of(store, SHOP, "a")
    found = retention._overdue  # noqa: SLF001
    before = now_ms() + 1

    async def then_written(store: Store, reach: Reach, before_ms: int) -> list[ThreadId]:
        overdue = await found(store, reach, before_ms)
        while now_ms() <= before:
            pass
        if overdue:
            await say(store, SHOP, written, "b")
        return overdue

    monkeypatch.setattr(retention, "_overdue", then_written)

    assert await retention.delete_overdue(store, before) == 0
    assert (await threads.get(store, SHOP, written)).message_count == 2


async def test_a_deleted_thread_keeps_its_place_for_cursors(store: Store) -> None:
    overdue = await thread_of(store, SHOP)

    await retention.delete_overdue(store, now_ms() + HOUR_MS)

    after_it = await threads.list_page(store, SHOP, PageRequest(limit=10, after=overdue))
    assert after_it.items == ()


async def test_a_server_deletes_what_is_overdue_and_counts_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await thread_of(store, SHOP)
    monkeypatch.setattr(retention, "now_ms", lambda: now_ms() + 25 * HOUR_MS)
    keeping = retention.Retention(store, days=1)

    [reading] = keeping.readings()
    running = asyncio.ensure_future(keeping.run())
    async with asyncio.timeout(PATIENCE_S):
        while reading.read() != {"all": 1}:  # noqa: ASYNC110  (it waits for the database)
            await asyncio.sleep(0.01)
    running.cancel()

    assert await threads.count(store, SHOP) == 0
