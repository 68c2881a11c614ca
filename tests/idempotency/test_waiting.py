"""On PostgreSQL a creation waits for what has its key, or for its thread, and then finds what became of that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest

from gateway.core import messages, threads
from gateway.domain.idempotency import Attempt, Kind
from gateway.domain.page import Order, PageRequest
from gateway.errors import IdempotencyKeyInUse, IdempotencyKeyReused, NotFound, Unavailable
from gateway.store.engines.base import Timeouts
from gateway.store.store import open_store
from gateway.store.writes import Place
from tests.make import holding, list_page, make_thread, new_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes

HI: Final = new_message("hi")
PAGE: Final = PageRequest(100, Order.ASC)
WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
SAME: Final = """
INSERT INTO messages (project_id, thread_id, position, id, created_at, role, status, content, attachments, metadata,
idempotency_scope, idempotency_key, idempotency_fingerprint)
VALUES ('default', $1, 999, 'msg_of_another', 1, 'user', 'completed', '[]', '[]', '{}', $2, $3, $4)"""
CUT: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid NOT IN (pg_backend_pid(), $1)"
)


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    opened = open_store(postgres_url)
    yield opened
    await opened.close()


@pytest.fixture
async def patient(postgres_url: str) -> AsyncIterator[Store]:
    opened = open_store(postgres_url, timeouts=Timeouts(lock_s=60, statement_s=60))
    yield opened
    await opened.close()


@pytest.fixture
async def stranger(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@pytest.fixture
async def watcher(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Watch who waits: within a transaction, as the stranger's, PostgreSQL shows the same activity always."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@pytest.fixture
async def thread_id(store: Store, who: Principal) -> ThreadId:
    return await make_thread(store, who)


def create(store: Store, who: Principal, thread_id: ThreadId, attempt: Attempt | None = None) -> asyncio.Task[Message]:
    return asyncio.create_task(messages.create(store, who, thread_id, HI, attempt or Attempt("k")))


async def until_waiting(watcher: asyncpg.Connection, count: int = 1) -> None:
    found = 0
    while found < count:
        found = await watcher.fetchval(WAITING)


async def texts(store: Store, who: Principal, thread_id: ThreadId) -> list[str]:
    return [each.text for each in (await list_page(store, who, thread_id, PAGE)).items]


async def test_a_deletion_that_commits_meanwhile_lets_no_second_creation_in(
    patient: Store, who: Principal, thread_id: ThreadId, watcher: asyncpg.Connection
) -> None:
    store = patient
    made = await create(store, who, thread_id)

    async def delete(transaction: Writes) -> None:
        position = await transaction.next_position(who.reach, thread_id)
        await transaction.remove_message(who.reach, Place(thread_id, made.id, position))

    async with holding(store, delete):
        creating = create(store, who, thread_id)
        await until_waiting(watcher)
    with pytest.raises(NotFound, match=made.id):
        await creating

    assert await texts(store, who, thread_id) == []
    assert (await threads.get(store, who, thread_id)).message_count == 0


@pytest.mark.parametrize("is_same", [True, False])
async def test_a_creation_waits_for_the_one_with_its_key_and_is_its_replay(
    patient: Store,
    who: Principal,
    thread_id: ThreadId,
    stranger: asyncpg.Connection,
    watcher: asyncpg.Connection,
    *,
    is_same: bool,
) -> None:
    store = patient
    attempt = Attempt("k")
    key = attempt.identify(who, Kind.MESSAGE, thread_id, HI)
    fingerprint = key.fingerprint if is_same else "another"
    running = stranger.transaction()
    await running.start()
    await stranger.execute(SAME, thread_id, key.scope, key.value, fingerprint)

    creating = create(store, who, thread_id, attempt)
    await until_waiting(watcher)
    await running.commit()

    if is_same:
        assert (await creating).id == "msg_of_another"
        assert attempt.is_replay
    else:
        with pytest.raises(IdempotencyKeyReused):
            await creating


async def test_a_creation_that_waits_too_long_for_its_key_is_to_be_sent_again(
    store: Store, who: Principal, thread_id: ThreadId, stranger: asyncpg.Connection
) -> None:
    key = Attempt("k").identify(who, Kind.MESSAGE, thread_id, HI)
    async with stranger.transaction():
        await stranger.execute(SAME, thread_id, key.scope, key.value, key.fingerprint)

        with pytest.raises(IdempotencyKeyInUse):
            await create(store, who, thread_id)
        running = await threads.get(store, who, thread_id)

    assert running.message_count == 0
    assert (await create(store, who, thread_id)).id == "msg_of_another"


async def test_a_write_whose_connection_breaks_is_sent_again_under_its_key(
    patient: Store,
    who: Principal,
    thread_id: ThreadId,
    stranger: asyncpg.Connection,
    watcher: asyncpg.Connection,
) -> None:
    store = patient
    await create(store, who, thread_id)  # over the connection that will be cut
    async with stranger.transaction():
        await stranger.execute("SELECT FROM threads WHERE id = $1 FOR UPDATE", thread_id)
        with_key, without = create(store, who, thread_id, Attempt("new")), _plain(store, who, thread_id)
        await until_waiting(watcher, 2)
        await watcher.fetch(CUT, stranger.get_server_pid())
        with pytest.raises(Unavailable):
            await without

    assert (await with_key).idempotency_key == "new"
    assert await texts(store, who, thread_id) == ["hi", "hi"]


def _plain(store: Store, who: Principal, thread_id: ThreadId) -> asyncio.Task[Any]:
    return asyncio.create_task(messages.create(store, who, thread_id, HI))
