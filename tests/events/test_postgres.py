"""Hints over PostgreSQL in particular: beside servers of earlier versions, which notify within each transaction."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg
import pytest

from gateway.domain.change import Hint
from gateway.events.hub import Hub
from gateway.events.postgres import OLD_CHANNEL
from gateway.store.store import open_store
from tests.events.carrying import carrier_at, exchanging
from tests.following import PATIENCE_S, make_thread, say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.domain.principal import Principal
    from gateway.events.exchange import Carrier
    from gateway.store.writes import Writes

NOTIFY = "SELECT pg_notify($1, $2)"
ONE, OTHER = ("p", "thread_1"), ("p", "thread_2")


@pytest.fixture
def carrier(postgres_url: str) -> Carrier:
    return carrier_at(postgres_url)


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Be connected as a server of an earlier version is."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def test_followers_hear_of_the_changes_of_an_old_server(carrier: Carrier, old: asyncpg.Connection) -> None:
    hub = Hub()
    async with exchanging(carrier, hub):
        with hub.listen(ONE, 7) as hint:
            for n in range(3):
                await old.execute(NOTIFY, OLD_CHANNEL, " ".join(ONE))

                await asyncio.wait_for(hint.wait(n, 7), PATIENCE_S)


async def test_an_old_server_hears_of_each_changed_thread(
    carrier: Carrier, old: asyncpg.Connection, postgres_url: str, who: Principal
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await old.add_listener(OLD_CHANNEL, lambda *given: heard.put_nowait(given[3]))
    async with exchanging(carrier) as own:
        store = open_store(postgres_url, own.publish)
        threads = [await make_thread(store, who) for _ in range(3)]
        for each in threads:
            await say(store, who, each, "hello")

        async with asyncio.timeout(PATIENCE_S):
            found = [await heard.get() for _ in threads]
        await store.close()

    assert found == [f"{who.reach.project_id} {each}" for each in threads]


async def test_new_servers_hear_each_other_by_one_channel_alone(carrier: Carrier, old: asyncpg.Connection) -> None:
    mine, others = Hub(), Hub()
    async with exchanging(carrier, mine), exchanging(carrier, others) as further, exchanging(carrier) as third:
        with mine.listen(ONE) as hint, mine.listen(OTHER) as last:
            for n in range(1, 4):
                further.publish([Hint(*ONE, None, n), Hint("p", f"thread_x{n}", None, 1)])
                await asyncio.wait_for(hint.wait(n - 1, n - 1), PATIENCE_S)
                third.publish([Hint(*OTHER, None, n)])
                await asyncio.wait_for(last.wait(n - 1, n - 1), PATIENCE_S)
            await old.execute(NOTIFY, OLD_CHANNEL, " ".join(OTHER))
            await asyncio.wait_for(last.wait(3), PATIENCE_S)

            assert (hint.hints, last.hints) == (3, 4)


async def test_a_rollback_sends_no_hint(carrier: Carrier, postgres_url: str, who: Principal) -> None:
    hub = Hub()
    async with exchanging(carrier, hub), exchanging(carrier) as others:
        store = open_store(postgres_url, others.publish)
        undone, last = await make_thread(store, who), await make_thread(store, who)

        async def work(transaction: Writes) -> None:
            await transaction.next_position(who.reach, undone)
            raise ZeroDivisionError

        with hub.listen((who.reach.project_id, undone)) as never, hub.listen((who.reach.project_id, last)) as hint:
            with suppress(ZeroDivisionError):
                await store.write(work)
            await say(store, who, last, "the end")
            await asyncio.wait_for(hint.wait(0), PATIENCE_S)

            assert never.hints == 0
        await store.close()


async def test_no_transaction_of_a_change_notifies(postgres_url: str, who: Principal, old: asyncpg.Connection) -> None:
    heard: list[object] = []
    for channel in (OLD_CHANNEL, "gateway_hints"):
        await old.add_listener(channel, lambda *given: heard.append(given))
    store = open_store(postgres_url)
    thread_id = await make_thread(store, who)
    await say(store, who, thread_id, "hello")
    await old.execute("SELECT 1")  # notifications arrive before its answer

    assert heard == []
    await store.close()


async def test_the_url_can_name_the_driver(postgres_url: str) -> None:
    named = postgres_url.replace("postgresql://", "postgresql+asyncpg://")
    async with exchanging(carrier_at(named)) as own:
        assert own.is_listening
