from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg
import pytest
from sqlalchemy import make_url

from gateway.background import BackgroundTask
from gateway.core import follow
from gateway.events.hub import Hub
from gateway.events.postgres import Listener
from gateway.store.engines.open import connector_to_listen
from gateway.store.engines.postgres import CHANNEL
from gateway.store.store import open_store
from tests.following import BEGINNING, PATIENCE_S, make_thread, say, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"


@asynccontextmanager
async def listening(url: str, hub: Hub) -> AsyncIterator[None]:
    """Listen to other processes for the duration of the block, which begins once hints arrive."""
    with hub.listen(("any", "thread")) as hint:
        listener = Listener(connector_to_listen(url, ""), CHANNEL, hub)
        listening_task = asyncio.create_task(BackgroundTask("listening", listener.run).keep_running())
        await asyncio.wait_for(hint.wait(0), PATIENCE_S)  # it wakes all followers once it is connected
    try:
        yield
    finally:
        listening_task.cancel()
        with suppress(asyncio.CancelledError):
            await listening_task


@pytest.fixture
async def other(postgres_url: str) -> AsyncIterator[Store]:
    """Open the store of another process, whose changes reach our hub only as hints."""
    opened = open_store(postgres_url)
    yield opened
    await opened.close()


@pytest.fixture
async def outsider(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Be connected as an operator is."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def test_a_commit_of_another_process_wakes_followers(
    other: Store, hub: Hub, who: Principal, postgres_url: str
) -> None:
    thread_id = await make_thread(other, who)
    async with listening(postgres_url, hub):
        with hub.listen((who.reach.project_id, thread_id)) as hint:
            await say(other, who, thread_id, "hello")

            await asyncio.wait_for(hint.wait(0), PATIENCE_S)


async def test_one_commit_sends_one_hint_per_thread(other: Store, who: Principal, outsider: asyncpg.Connection) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await outsider.add_listener(CHANNEL, lambda *given: heard.put_nowait(given[3]))
    thread_id, last = await make_thread(other, who), await make_thread(other, who)

    async def work(transaction: Writes) -> None:
        for _ in range(3):
            await transaction.next_position(who.reach, thread_id)

    await other.write(work)
    await say(other, who, last, "the end")

    async with asyncio.timeout(PATIENCE_S):
        told = [await heard.get(), await heard.get()]
    assert told == [f"{who.reach.project_id} {thread_id}", f"{who.reach.project_id} {last}"]


async def test_a_rollback_of_another_process_wakes_no_follower(
    other: Store, who: Principal, outsider: asyncpg.Connection
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await outsider.add_listener(CHANNEL, lambda *given: heard.put_nowait(given[3]))
    undone, last = await make_thread(other, who), await make_thread(other, who)

    async def work(transaction: Writes) -> None:
        await transaction.next_position(who.reach, undone)
        raise ZeroDivisionError

    with suppress(ZeroDivisionError):
        await other.write(work)
    await say(other, who, last, "the end")

    assert await asyncio.wait_for(heard.get(), PATIENCE_S) == f"{who.reach.project_id} {last}"


async def test_a_lost_connection_is_reopened_and_no_change_is_missed(
    other: Store, hub: Hub, who: Principal, postgres_url: str, outsider: asyncpg.Connection
) -> None:
    thread_id = await make_thread(other, who)
    async with listening(postgres_url, hub):
        found = follow.messages(other, hub, who, thread_id, BEGINNING)
        for n in range(3):
            [pid] = [row["pid"] for row in await outsider.fetch(LISTENERS)]
            await outsider.execute("SELECT pg_terminate_backend($1)", pid)
            await say(other, who, thread_id, f"while nobody listens {n}")

            [(_, message, _)] = await take(found, 1)
            assert message.text == f"while nobody listens {n}"
            await _until_listeners(outsider, lambda pids, gone=pid: bool(set(pids) - {gone}))  # type: ignore[misc]
        await found.aclose()


async def test_all_listeners_are_woken_after_a_reconnect(
    hub: Hub, postgres_url: str, outsider: asyncpg.Connection
) -> None:
    async with listening(postgres_url, hub):
        with hub.listen(("p", "thread_1")) as hint, hub.listen(("p", "thread_2")) as other_hint:
            [pid] = [row["pid"] for row in await outsider.fetch(LISTENERS)]
            await outsider.execute("SELECT pg_terminate_backend($1)", pid)

            await asyncio.wait_for(asyncio.gather(hint.wait(0), other_hint.wait(0)), PATIENCE_S)


async def test_an_unavailable_server_is_reported_by_one_error(postgres_url: str) -> None:
    nobody = make_url(postgres_url).set(database="nobody").render_as_string(hide_password=False)
    listener = Listener(connector_to_listen(nobody, ""), CHANNEL, Hub())

    with pytest.raises(ConnectionError, match=r"no hints from PostgreSQL: .*nobody"):
        await listener.run()

    assert not listener.is_listening


async def test_the_url_can_name_the_driver(hub: Hub, postgres_url: str) -> None:
    async with listening(postgres_url.replace("postgresql://", "postgresql+asyncpg://"), hub):
        assert hub.topics() == []


async def test_listening_closes_its_connection(hub: Hub, postgres_url: str, outsider: asyncpg.Connection) -> None:
    async with listening(postgres_url, hub):
        assert len(await outsider.fetch(LISTENERS)) == 1

    await _until_listeners(outsider, lambda pids: not pids)


async def _until_listeners(outsider: asyncpg.Connection, are_so: Callable[[list[int]], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not are_so([row["pid"] for row in await outsider.fetch(LISTENERS)]):  # noqa: ASYNC110  (there is no event to wait for)
            await asyncio.sleep(0.01)
