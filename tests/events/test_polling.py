from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gateway.background import BackgroundTask
from gateway.core import follow, threads
from gateway.errors import Unavailable
from gateway.events.polling import poll
from gateway.store.engines.sqlite import READERS
from gateway.store.store import open_store
from tests.following import BEGINNING, PATIENCE_S, make_thread, rest_of, say, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from gateway.events.hub import Audience, Hub


@asynccontextmanager
async def polling(hub: Hub, store: Store) -> AsyncIterator[None]:
    looking = asyncio.create_task(poll(hub, store.data_version, store.last_positions))
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


@pytest.fixture
async def ours(sqlite_url: str, hub: Hub) -> AsyncIterator[Store]:
    """Open the store of the process that has followers."""
    opened = open_store(sqlite_url, hub.wake)
    yield opened
    await opened.close()


@pytest.fixture
async def other(sqlite_url: str) -> AsyncIterator[Store]:
    """Open the store of another process on the same file."""
    opened = open_store(sqlite_url)
    yield opened
    await opened.close()


async def test_a_write_of_another_process_wakes_followers(ours: Store, other: Store, hub: Hub, who: Principal) -> None:
    thread_id = await make_thread(other, who)
    async with polling(hub, ours):
        found = follow.messages(ours, hub, who, thread_id, BEGINNING)
        for n in range(5):
            await say(other, who, thread_id, f"hello {n}")

            [(_, message, _)] = await take(found, 1)
            assert message.text == f"hello {n}"
        await found.aclose()


async def test_a_write_of_another_process_is_seen_by_every_connection(
    ours: Store, other: Store, who: Principal
) -> None:
    # Each connection counts the file's versions for itself, so two of them may give the same number for two states.
    thread_id = await make_thread(other, who)
    seen: list[tuple[int, int]] = []
    for n in range(READERS * 3):
        await say(other, who, thread_id, str(n))
        async with _busy(ours, n % READERS):
            seen.append(await ours.data_version())

    assert len(set(seen)) == len(seen)


async def test_a_deletion_by_another_process_ends_following(
    ours: Store, other: Store, hub: Hub, who: Principal
) -> None:
    thread_id = await make_thread(other, who)
    [first] = await say(other, who, thread_id, "hello")
    async with polling(hub, ours):
        found = follow.messages(ours, hub, who, thread_id, BEGINNING)
        assert [message.id for _, message, _ in await take(found, 1)] == [first]

        await threads.delete(other, who, thread_id)

        assert await rest_of(found) == []


async def test_an_unchanged_thread_is_not_woken(ours: Store, other: Store, hub: Hub, who: Principal) -> None:
    still, moving = await make_thread(other, who), await make_thread(other, who)
    async with polling(hub, ours):
        with hub.listen((who.reach.project_id, still)) as never, hub.listen((who.reach.project_id, moving)) as hint:
            await _woken(hint, 0)  # it wakes all whom it has not seen before
            before, seen = never.hints, hint.hints
            for n in range(3):
                await say(other, who, moving, "hello")
                await _woken(hint, seen + n)

            assert never.hints == before


async def test_polling_continues_after_the_database_was_unavailable(hub: Hub) -> None:
    topic = ("p", "thread_1")
    refusals = [Unavailable("busy")]

    async def version() -> int:
        if refusals:
            raise refusals.pop()
        return 1

    async def positions(_topics: object) -> dict[tuple[str, str], int]:
        return {topic: 1}

    looking = asyncio.create_task(BackgroundTask("polling", lambda: poll(hub, version, positions)).keep_running())
    with hub.listen(topic) as hint:
        await _woken(hint, 0)

    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking


async def _woken(audience: Audience, hints: int) -> None:
    await asyncio.wait_for(audience.wait(hints), PATIENCE_S)


@asynccontextmanager
async def _busy(store: Store, count: int) -> AsyncIterator[None]:
    """Keep so many readers busy, so that the next one is another."""
    if count == 0:
        yield
        return
    async with store.read(), _busy(store, count - 1):
        yield
