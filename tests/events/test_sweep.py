from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gateway.core import follow, threads
from gateway.domain.principal import Principal, Reach
from gateway.events.sweep import INTERVAL_S, POLL_S, sweep
from gateway.store.engines.sqlite import READERS
from gateway.store.store import open_store
from tests.following import BEGINNING, PATIENCE_S, make_thread, rest_of, say, take, until
from tests.graphql.serving import statements_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from gateway.core import Store
    from gateway.domain.change import Topic
    from gateway.events.hub import Hub


@asynccontextmanager
async def polling(hub: Hub, store: Store) -> AsyncIterator[None]:
    looking = asyncio.create_task(
        sweep(
            hub,
            store.last_positions,
            changed_owners=store.changed_owners,
            version=store.data_version,
            interval_s=POLL_S,
        )
    )
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
            for n in range(3):
                await say(other, who, moving, "hello")
                await asyncio.wait_for(hint.wait(n), PATIENCE_S)

            assert never.hints == 0


async def test_a_change_without_a_hint_is_heard_by_the_next_sweep(database_url: str, hub: Hub, who: Principal) -> None:
    # This is what remains of a process that was killed between its commit and its hint.
    assert INTERVAL_S < 1
    silent, ours = open_store(database_url), open_store(database_url, hub.wake)
    threads_made = [await make_thread(silent, Principal(Reach(project))) for project in ("default", "other")]
    begun = 0

    async def positions(topics: Sequence[Topic]) -> Mapping[Topic, int | None]:
        nonlocal begun
        begun += 1
        return await ours.last_positions(topics)

    sweeping = asyncio.create_task(sweep(hub, positions, changed_owners=ours.changed_owners, interval_s=0.05))
    found = follow.messages(ours, hub, who, threads_made[0], BEGINNING)
    deleted = follow.changes(ours, hub, Principal(Reach("other")), threads_made[1], BEGINNING)
    ended = asyncio.create_task(rest_of(deleted))
    for text in ("one", "two"):
        heard = asyncio.create_task(take(found, 1))
        await until(lambda: [each.size for each in hub._audiences.values()] == [1, 1])  # noqa: SLF001
        await say(silent, who, threads_made[0], text)
        before = begun

        [(_, message, _)] = await heard

        assert (message.text, begun - before < 3) == (text, True)  # one may have begun, and one while it was read
    await threads.delete(silent, Principal(Reach("other")), threads_made[1])
    assert [type(each.item).__name__ for each in await ended] == ["ThreadDeleted"]

    sweeping.cancel()
    with suppress(asyncio.CancelledError):
        await sweeping
    await found.aclose()
    for each in (silent, ours):
        await each.close()


async def test_a_sweep_is_one_statement_for_all_projects_and_none_without_followers(
    database_url: str, hub: Hub
) -> None:
    ours = open_store(database_url, hub.wake)
    asked, done = [], asyncio.Event()

    async def positions(topics: Sequence[Topic]) -> Mapping[Topic, int | None]:
        with statements_of(ours) as sent:
            found = await ours.last_positions(topics)
        asked.append((len(topics), len(sent)))
        done.set()
        return found

    sweeping = asyncio.create_task(sweep(hub, positions, changed_owners=ours.changed_owners, interval_s=0))
    for _ in range(5):
        await asyncio.sleep(0)
    assert asked == []

    with ExitStack() as stack:
        for n in range(700):  # more than SQLite would take as values of one statement in older versions
            stack.enter_context(hub.listen((f"project_{n % 3}", f"thread_{n}")))
        await asyncio.wait_for(done.wait(), PATIENCE_S)
        sweeping.cancel()

    assert asked[0] == (700, 1)
    await asyncio.wait([sweeping])
    await ours.close()


@asynccontextmanager
async def _busy(store: Store, count: int) -> AsyncIterator[None]:
    """Keep so many readers busy, so that the next one is another."""
    if count == 0:
        yield
        return
    async with store.read(), _busy(store, count - 1):
        yield
