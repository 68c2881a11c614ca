from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.core import messages, run_transfer, threads, transfer
from gateway.core.clock import now_ms
from gateway.core.taken import Given
from gateway.domain import archive, parse
from gateway.domain.direction import Direction
from gateway.domain.message import Message
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import Thread
from gateway.store.staging import Staging
from gateway.store.store import Store, open_store
from tests.effort import times
from tests.exports import a_message, a_run, a_step, a_text, a_thread, give, run, told
from tests.transfer.loading import load

WHO = Principal(Reach("default"))

words = st.text(max_size=8)
metadata = st.dictionaries(words, words, max_size=3)
parts = st.one_of(
    st.text(min_size=1, max_size=8).map(lambda value: {"type": "text", "text": value}),
    st.builds(
        lambda detail: {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": detail}},
        st.sampled_from(["auto", "low", "high"]),
    ),
    st.just({"type": "image_file", "image_file": {"file_id": "file-1"}}),
)
new_messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]), "content": st.lists(parts, min_size=1, max_size=2)},
    optional={
        "metadata": metadata,
        "run_id": st.just("run_1"),
        "assistant_id": st.just("asst_1"),
        "attachments": st.just([{"file_id": "file-1", "tools": [{"type": "file_search"}]}]),
    },
)
annotation = {"type": "file_path", "text": "x", "start_index": 0, "end_index": 1, "file_path": {"file_id": "file-1"}}
old_messages = st.builds(
    lambda created_at, role, content, **more: {"created_at": created_at, "role": role, "content": content, **more},
    created_at=st.integers(0, 3),
    role=st.sampled_from(["user", "assistant"]),
    content=st.lists(
        st.sampled_from([a_text("x"), a_text("x", annotation), {"type": "refusal", "refusal": "no"}]), max_size=2
    ),
    metadata=metadata,
    status=st.sampled_from(["completed", "incomplete", "in_progress"]),
    incomplete_details=st.sampled_from([None, {"reason": "run_expired"}]),
    completed_at=st.none() | st.integers(0, 9),
)
index = st.integers(0, 5)
# Of each run the time, the status, and the times of its steps.
old_runs = st.tuples(
    st.integers(0, 1_000), st.sampled_from(["completed", "failed", "queued"]), st.lists(st.integers(0, 99), max_size=3)
)
# What may come to pass in a store: a name and what it is done with; an index picks among what is there.
history = st.lists(
    st.one_of(
        st.tuples(st.just("create thread"), metadata, st.lists(new_messages, max_size=3)),
        st.tuples(st.just("create message"), index, new_messages),
        st.tuples(st.just("change message"), index, metadata),
        st.tuples(st.just("delete message"), index),
        st.tuples(st.just("delete thread"), index),
        st.tuples(st.just("set clock"), st.sampled_from([-86_400, -61, -60, 0, 60, 86_400])),
        st.tuples(st.just("import thread"), st.integers(0, 3), metadata, st.lists(old_messages, max_size=4)),
        st.tuples(st.just("import runs"), index, st.lists(old_runs, max_size=4)),
        st.tuples(st.just("import assistants"), st.lists(st.integers(0, 3), max_size=4)),
    ),
    min_size=1,
    max_size=12,
)


class Life:
    """A store to which things happen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._threads: list[Thread] = []
        self._messages: list[Message] = []
        self._made = 0
        self._ahead_s = 0

    def now_ms(self) -> int:
        """Tell the time that the store's machine takes it to be."""
        return now_ms() + 1_000 * self._ahead_s

    async def set_clock(self, ahead_s: int) -> None:
        self._ahead_s = ahead_s

    async def create_thread(self, metadata: Any, new: Any) -> None:
        parsed = parse.new_thread({"metadata": metadata})
        thread = await threads.create(self._store, WHO, parsed)
        self._threads.append(thread)
        for each in new:
            await self._append(thread, each)

    async def create_message(self, index: int, new: Any) -> None:
        if self._threads:
            await self._append(self._threads[index % len(self._threads)], new)

    async def _append(self, thread: Thread, new: Any) -> None:
        parsed = parse.new_message(new, from_worker=True)
        self._messages.append(await messages.create(self._store, WHO, thread.id, parsed))

    async def change_message(self, index: int, metadata: Any) -> None:
        if self._messages:
            message = self._messages[index % len(self._messages)]
            patch = parse.message_patch({"metadata": metadata})
            await messages.update(self._store, WHO, message.thread_id, message.id, patch)

    async def delete_message(self, index: int) -> None:
        if self._messages:
            message = self._messages.pop(index % len(self._messages))
            await messages.delete(self._store, WHO, message.thread_id, message.id)

    async def delete_thread(self, index: int) -> None:
        if self._threads:
            thread = self._threads.pop(index % len(self._threads))
            await threads.delete(self._store, WHO, thread.id)
            self._messages = [each for each in self._messages if each.thread_id != thread.id]

    async def import_thread(self, created_at: int, metadata: Any, old: Any) -> None:
        self._made += 1
        thread_id = f"thread_{self._made}"
        thread = archive.read(a_thread(thread_id, created_at=created_at, metadata=metadata))
        assert isinstance(thread, Thread)
        found = []
        for number, each in enumerate(sorted(old, key=lambda each: int(each["created_at"]))):
            message = archive.read(a_message(f"msg_{self._made}_{number}", thread_id, **each))
            assert isinstance(message, Message)
            found.append(message)
        taken = await load(self._store, WHO, thread, found)
        assert taken.refused == []
        self._threads.append(thread)
        self._messages += found

    async def import_runs(self, index: int, old: Any) -> None:
        if not self._threads:
            return
        thread = self._threads[index % len(self._threads)]
        self._made += 1
        with Staging() as staging:
            number = staging.begin_list(0, Direction.RISING, is_explicit=True)
            for n, (created_at, status, steps) in enumerate(old):
                made = a_run(f"run_{self._made}_{n}", thread.id, created_at=created_at, status=status)
                add_line(staging, number, made)
                for m, second in enumerate(steps):
                    add_line(
                        staging,
                        number,
                        a_step(f"step_{self._made}_{n}_{m}", made["id"], created_at=second, thread_id=thread.id),
                    )
            staging.finish()
            given = [Given(*each) for group in staging.groups() for each in group.threads]
            if given:
                taken = await transfer.import_threads(self._store, WHO, given, staging)
                assert taken.refused_lines == []

    async def import_assistants(self, seconds: Any) -> None:
        self._made += 1
        with Staging() as staging:
            number = staging.begin_list(0, Direction.RISING, is_explicit=True)
            for n, second in enumerate(seconds):
                add_line(
                    staging,
                    number,
                    {"id": f"asst_{self._made}_{9 - n}", "object": "assistant", "created_at": second, "model": "m"},
                )
            staging.finish()
            await run_transfer.import_assistants(self._store, WHO, staging)


def add_line(staging: Staging, number: int, each: dict[str, Any]) -> None:
    of_thread = {"thread_id": each.get("thread_id", ""), "run_id": each.get("run_id", "")}
    staging.runs.add(number, ("-", "line", orjson.dumps(each)), each["id"], each["created_at"], **of_thread)


async def live(database_url: str, history: list[tuple[Any, ...]]) -> None:
    store = open_store(database_url)
    life = Life(store)
    with patch.object(messages, "now_ms", life.now_ms), patch.object(threads, "now_ms", life.now_ms):
        for name, *arguments in history:
            await getattr(life, name.replace(" ", "_"))(*arguments)
    await store.close()


def moved(exported: bytes, database_url: str) -> bytes:
    """Import an export into an empty database, and give what that one exports."""
    done = run("import", "--database-url", database_url, given=exported)
    assert (done.exit_code, told(done)) == (0, [])
    return give(database_url)


Empty = Callable[[], str]


@pytest.fixture
def empty(database_url: str, new_sqlite_url: Empty) -> Empty:
    """Give the URL of a migrated and empty database as often as asked, once of each kind."""

    def emptied_postgres() -> str:
        asyncio.run(emptied(database_url))
        return database_url

    return new_sqlite_url if database_url.startswith("sqlite") else emptied_postgres


async def emptied(postgres_url: str) -> None:
    url = postgres_url.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE threads, deleted_threads, assistants CASCADE"))
    await engine.dispose()


few = settings(max_examples=times(fast=3, slow=30))


@few
@given(history=history)
def test_an_export_that_is_imported_is_exported_with_the_same_bytes(empty: Empty, history: Any) -> None:
    first = empty()
    asyncio.run(live(first, history))
    exported = give(first)

    assert moved(exported, empty()) == exported


@few
@given(history=history)
def test_from_sqlite_to_postgresql_and_back_all_bytes_stay(
    postgres_url: str, new_sqlite_url: Empty, history: Any
) -> None:
    asyncio.run(emptied(postgres_url))
    first = new_sqlite_url()
    asyncio.run(live(first, history))
    exported = give(first)

    assert moved(moved(exported, postgres_url), new_sqlite_url()) == exported


@few
@given(history=history)
def test_importing_an_export_into_its_own_database_changes_nothing(empty: Empty, history: Any) -> None:
    url = empty()
    asyncio.run(live(url, history))
    exported = give(url)

    assert moved(exported, url) == exported


@few
@given(history=history, data=st.data())
def test_lines_of_different_threads_may_be_in_any_order(empty: Empty, history: Any, data: st.DataObject) -> None:
    """Lines of one thread keep their order; those of different threads may be mixed as one likes."""
    url = empty()
    asyncio.run(live(url, history))
    exported = give(url)
    of_threads: dict[str, list[bytes]] = {}
    for line in exported.splitlines(keepends=True):
        each = orjson.loads(line)
        of_threads.setdefault(each.get("thread_id") or each["id"], []).append(line)
    turns = data.draw(st.permutations([key for key, own in of_threads.items() for _ in own]))
    mixed = [of_threads[key].pop(0) for key in turns]

    found = moved(b"".join(mixed), empty())

    assert by_thread(found) == by_thread(exported)


def by_thread(exported: bytes) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for line in exported.splitlines():
        each = orjson.loads(line)
        found.setdefault(each.get("thread_id") or each["id"], []).append(line)
    return found
