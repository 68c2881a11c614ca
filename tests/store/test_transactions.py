"""A transaction is committed whole or not at all, and its connection is used again or closed, however it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from gateway.errors import Unavailable
from gateway.store.engines import base, postgres
from gateway.store.store import open_store
from tests.following import PATIENCE_S, say, until
from tests.make import holding, make_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes

MOST = 3  # transactions at once


@pytest.fixture
async def one(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """Open a store on PostgreSQL with few connections."""
    monkeypatch.setattr(postgres, "WRITES", MOST)
    store = open_store(postgres_url, timeouts=None)  # a cancelled statement may keep its lock for a while
    yield store
    await store.close()


@pytest.fixture
async def thread_id(one: Store, who: Principal) -> ThreadId:
    """Make a thread."""
    return await make_thread(one, who)


async def positions(store: Store, who: Principal, thread_id: ThreadId) -> int:
    """Read how many positions are taken, after every connection can run a transaction again."""

    async def nothing(_writes: Writes) -> None: ...

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(store.write(nothing) for _ in range(MOST)))
        await until(lambda: store.connections()["writer"] == 0)
    async with store.read() as reads:
        [last] = (await reads.last_positions([(who.reach.project_id, thread_id)])).values()
        assert last is not None
        return last


async def fails_each_time(
    store: Store, work: Callable[[Writes], Awaitable[None]], error: type[Exception], match: str | None = None
) -> None:
    """Run a transaction that fails more often than there are connections."""
    for _ in range(MOST + 1):
        with pytest.raises(error, match=match):
            await store.write(work)


async def test_a_failure_between_statements_rolls_all_of_them_back(
    one: Store, who: Principal, thread_id: ThreadId
) -> None:
    async def fail(writes: Writes) -> None:
        await writes.next_position(who.reach, thread_id)
        raise ZeroDivisionError

    await fails_each_time(one, fail, ZeroDivisionError)

    assert await positions(one, who, thread_id) == 0


async def test_a_statement_that_fails_rolls_back_those_before_it(
    one: Store, who: Principal, thread_id: ThreadId
) -> None:
    async def fail(writes: Writes) -> None:
        await writes.next_position(who.reach, thread_id)
        await writes._connection.execute("SELECT 1 / 0")  # noqa: SLF001

    await fails_each_time(one, fail, Exception, "division by zero")

    assert await positions(one, who, thread_id) == 0


async def test_a_transaction_cancelled_while_a_statement_runs_is_rolled_back(
    one: Store, who: Principal, thread_id: ThreadId
) -> None:
    begun = asyncio.Event()

    async def sleep(writes: Writes) -> None:
        await writes.next_position(who.reach, thread_id)
        begun.set()
        # PostgreSQL ignores a request to cancel that comes before the statement runs: so this one ends by itself too.
        await writes._connection.execute("SELECT pg_sleep(3)")  # noqa: SLF001

    for _ in range(MOST + 1):
        begun.clear()
        running = asyncio.create_task(one.write(sleep))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert await positions(one, who, thread_id) == 0


async def test_a_connection_lost_within_a_transaction_is_replaced(
    one: Store, who: Principal, thread_id: ThreadId
) -> None:
    async def lose(writes: Writes) -> None:
        await writes.next_position(who.reach, thread_id)
        await writes._connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")  # noqa: SLF001

    await fails_each_time(one, lose, Unavailable)

    assert await positions(one, who, thread_id) == 0


async def test_a_transaction_waits_for_a_connection_and_then_runs(
    one: Store, who: Principal, thread_id: ThreadId
) -> None:
    async with holding(one), holding(one), holding(one):
        waiting = asyncio.create_task(one.write(lambda writes: writes.next_position(who.reach, thread_id)))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert one.connections()["writer"] == MOST == one.connections_at_most()["writer"]

    assert await waiting == 1


async def test_a_transaction_that_waits_too_long_for_a_connection_leaves_none_behind(
    one: Store, who: Principal, thread_id: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with holding(one), holding(one), holding(one):
        with monkeypatch.context() as patched:
            patched.setattr(base, "WAIT_S", 0.05)
            with pytest.raises(Unavailable):
                await one.write(lambda writes: writes.next_position(who.reach, thread_id))

    assert await positions(one, who, thread_id) == 0


async def test_a_savepoint_that_fails_undoes_only_itself(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)

    async def fail(writes: Writes) -> None:
        async with writes.savepoint():
            await writes.next_position(who.reach, thread_id)
            raise ZeroDivisionError

    async def work(writes: Writes) -> None:
        await writes.next_position(who.reach, thread_id)
        with pytest.raises(ZeroDivisionError):
            await fail(writes)
        async with writes.savepoint():
            await writes.next_position(who.reach, thread_id)

    await store.write(work)

    async with store.read() as reads:
        assert await reads.span_of(who.reach, thread_id) == (0, 2)


@pytest.fixture
async def repeatable_url(postgres_url: str) -> AsyncIterator[str]:
    """Let the operator's default be another isolation of transactions."""
    owner = await asyncpg.connect(postgres_url)
    name = await owner.fetchval("SELECT current_database()")
    await owner.execute(f'ALTER DATABASE "{name}" SET default_transaction_isolation = "repeatable read"')
    yield postgres_url
    await owner.execute(f'ALTER DATABASE "{name}" RESET default_transaction_isolation')
    await owner.close()


async def test_writers_at_once_do_not_depend_on_the_default_isolation(repeatable_url: str, who: Principal) -> None:
    store = open_store(repeatable_url)
    thread_id = await make_thread(store, who)

    await asyncio.gather(*(say(store, who, thread_id, str(n)) for n in range(40)))

    async with store.read() as reads:
        assert list((await reads.last_positions([(who.reach.project_id, thread_id)])).values()) == [40]
    await store.close()
