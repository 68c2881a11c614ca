"""Group commit on SQLite: concurrent transactions share a commit and are otherwise independent."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import messages
from gateway.domain.ids import ThreadId
from gateway.domain.message import Addition
from gateway.domain.page import Order, PageRequest
from gateway.domain.thread import Thread
from gateway.errors import Unavailable
from gateway.store import group_commit
from gateway.store.connections import Connection
from gateway.store.engines import base
from gateway.store.store import open_store
from tests.make import holding, list_page, make_thread, new_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes

PAGE = PageRequest(1, Order.ASC)


@pytest.fixture
async def one(sqlite_url: str) -> AsyncIterator[Store]:
    """Open a store on SQLite."""
    store = open_store(sqlite_url)
    yield store
    await store.close()


@pytest.fixture
async def thread_id(one: Store, who: Principal) -> ThreadId:
    """Make a thread."""
    return await make_thread(one, who)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write down every commit, of which only the number of transactions decides."""
    monkeypatch.setattr(group_commit, "MAX_GROUP_S", 3_600.0)
    seen: list[str] = []
    call = Connection.call

    async def note(self: Connection, work: Any) -> Any:
        def traced(connection: sqlite3.Connection) -> Any:
            connection.set_trace_callback(lambda text: seen.append(text) if text == "COMMIT" else None)
            return work(connection)

        return await call(self, traced)

    monkeypatch.setattr(Connection, "call", note)
    return seen


def texts_on_disk(url: str) -> int:
    """Count the messages that another connection sees."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as other:
        count: int = other.execute("SELECT count(*) FROM messages").fetchone()[0]
    return count


async def add(store: Store, who: Principal, thread_id: ThreadId, count: int) -> list[Any]:
    """Add messages side by side."""
    adding = (messages.create(store, who, thread_id, new_message()) for _ in range(count))
    return await asyncio.gather(*adding, return_exceptions=True)


async def test_concurrent_writers_share_commits(
    one: Store, who: Principal, thread_id: ThreadId, commits: list[str]
) -> None:
    commits.clear()

    await add(one, who, thread_id, 32)

    assert 1 <= len(commits) <= 4


async def test_sequential_writers_commit_separately(
    one: Store, who: Principal, thread_id: ThreadId, commits: list[str]
) -> None:
    commits.clear()

    for _ in range(3):
        await add(one, who, thread_id, 1)

    assert len(commits) == 3


async def test_an_acknowledged_write_is_on_disk(
    one: Store, who: Principal, thread_id: ThreadId, sqlite_url: str
) -> None:
    found = []

    async def write() -> None:
        await messages.create(one, who, thread_id, new_message())
        found.append(texts_on_disk(sqlite_url))

    await asyncio.gather(*(write() for _ in range(20)))

    assert all(seen >= n for n, seen in enumerate(found, 1))


async def test_a_failed_transaction_does_not_fail_its_group(
    one: Store, who: Principal, thread_id: ThreadId, sqlite_url: str
) -> None:
    taken = await messages.create(one, who, thread_id, new_message())

    ended = await asyncio.gather(
        add(one, who, thread_id, 5),
        one.add_message(who.reach, Addition(taken, 0)),
        add(one, who, thread_id, 5),
        return_exceptions=True,
    )

    assert isinstance(ended[1], sqlite3.IntegrityError)
    assert texts_on_disk(sqlite_url) == 11
    assert [each.id for each in (await list_page(one, who, thread_id, PAGE)).items] == [taken.id]


async def test_a_cancelled_waiting_write_writes_nothing(
    one: Store, who: Principal, thread_id: ThreadId, sqlite_url: str
) -> None:
    async with holding(one):
        leaving = asyncio.create_task(messages.create(one, who, thread_id, new_message()))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)

    await add(one, who, thread_id, 1)

    assert leaving.cancelled()
    assert texts_on_disk(sqlite_url) == 1


async def test_a_write_that_waits_too_long_is_unavailable(
    who: Principal, thread_id: ThreadId, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WAIT_S", 0.05)
    impatient = open_store(sqlite_url)

    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ended = await add(impatient, who, thread_id, 3)

    assert {type(each) for each in ended} == {Unavailable}
    assert len(await add(impatient, who, thread_id, 2)) == texts_on_disk(sqlite_url) == 2
    await impatient.close()


async def test_the_number_of_waiting_writes_is_bounded(
    one: Store, who: Principal, thread_id: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAITING", 3)

    async with holding(one):
        adding = asyncio.create_task(add(one, who, thread_id, 5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    ended = await adding

    assert [type(each).__name__ for each in ended] == ["Message"] * 3 + ["Unavailable"] * 2


async def test_a_cancelled_transaction_rolls_back_no_other(
    one: Store, who: Principal, thread_id: ThreadId, sqlite_url: str
) -> None:
    has_written, may_end = threading.Event(), threading.Event()

    async def give_up(writes: Writes) -> None:
        await writes.take_positions(who.reach, thread_id, 100, 0)
        has_written.set()
        may_end.wait()

    leaving = asyncio.create_task(one.write(give_up))
    await asyncio.to_thread(has_written.wait)
    adding = asyncio.create_task(add(one, who, thread_id, 5))
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    may_end.set()
    made = await adding

    assert [type(each).__name__ for each in made] == ["Message"] * 5
    async with one.read() as reads:
        assert await reads.span_of(who.reach, thread_id) == (0, 5)
    assert texts_on_disk(sqlite_url) == 5


async def test_a_transaction_that_waits_for_something_else_is_refused_and_rolled_back(
    one: Store, who: Principal, thread_id: ThreadId
) -> None:
    async def wait(writes: Writes) -> None:
        await writes.take_positions(who.reach, thread_id, 100, 0)
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waits for nothing but its statements"):
        await one.write(wait)

    async with one.read() as reads:
        assert await reads.span_of(who.reach, thread_id) == (0, 0)


async def test_a_disk_that_is_full_within_a_transaction_is_unavailable(
    one: Store, who: Principal, thread_id: ThreadId, sqlite_url: str
) -> None:
    async def fill(writes: Writes) -> None:
        raw = writes._connection.raw  # noqa: SLF001
        pages = raw.execute("PRAGMA max_page_count = 1").fetchone()[0]  # as many as there are
        try:
            for n in range(pages):
                await writes.add_thread(who.reach, Thread(ThreadId(f"thread_{n}"), 1, "x" * 9_000, "{}", 0))
        finally:
            raw.execute(f"PRAGMA max_page_count = {1 << 30}")

    with pytest.raises(Unavailable):
        await one.write(fill)

    assert len(await add(one, who, thread_id, 2)) == texts_on_disk(sqlite_url) == 2


def _without_commit(_works: Any, connection: Connection) -> None:
    connection.raw.execute("BEGIN IMMEDIATE")


async def test_a_failed_commit_is_unavailable_for_its_whole_group(
    one: Store, who: Principal, thread_id: ThreadId, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Connection.call

    async def full(self: Connection, work: Any) -> Any:
        await call(self, work)
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patched:
        # A commit that is refused leaves the transaction open, so that is what stands in its place.
        patched.setattr(group_commit, "run_batch", _without_commit)
        patched.setattr(Connection, "call", full)
        ended = await add(one, who, thread_id, 10)

    assert {type(each) for each in ended} == {Unavailable}
    assert texts_on_disk(sqlite_url) == 0
    assert len(await add(one, who, thread_id, 2)) == texts_on_disk(sqlite_url) == 2


async def test_a_group_is_bounded(
    one: Store, who: Principal, thread_id: ThreadId, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_GROUP", 4)
    commits.clear()

    await add(one, who, thread_id, 20)

    assert len(commits) >= 5


async def test_transactions_for_which_a_group_has_no_time_follow_in_their_order(
    one: Store, who: Principal, thread_id: ThreadId, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_GROUP_S", 3.0)
    monkeypatch.setattr(group_commit, "monotonic", count().__next__)  # a second for each
    async with holding(one):
        adding = [asyncio.create_task(messages.create(one, who, thread_id, new_message())) for _ in range(10)]
        await asyncio.sleep(0)
        commits.clear()
    made = await asyncio.gather(*adding)

    assert len(commits) == 1 + 5  # of what was held, and of two each
    assert [each.id for each in (await list_page(one, who, thread_id, PageRequest(20, Order.ASC))).items] == [
        each.id for each in made
    ]


async def test_a_transaction_that_is_cancelled_while_it_has_no_time_writes_nothing(
    one: Store, who: Principal, thread_id: ThreadId, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    monkeypatch.setattr(group_commit, "MAX_GROUP_S", 0.001)

    async def take_long(writes: Writes) -> None:
        await writes.take_positions(who.reach, thread_id, 1, 0)
        has_begun.set()
        may_end.wait()

    async with holding(one):
        slow = asyncio.create_task(one.write(take_long))
        await asyncio.sleep(0)
        leaving = asyncio.create_task(messages.create(one, who, thread_id, new_message()))
        await asyncio.sleep(0)
    await asyncio.to_thread(has_begun.wait)
    leaving.cancel()
    may_end.set()
    await asyncio.gather(slow, leaving, return_exceptions=True)
    await add(one, who, thread_id, 1)

    assert texts_on_disk(sqlite_url) == 1
