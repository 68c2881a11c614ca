"""An import meets what was deleted, what goes on at the same time, and its own end in the middle."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, TypeVar

import httpx
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.app import serve_store
from gateway.core import messages, threads, transfer
from gateway.domain import archive
from gateway.domain.ids import MessageId, ThreadId
from gateway.domain.message import Message, MessagePatch
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import Thread
from gateway.errors import NotFound
from gateway.store.store import Store, open_store
from gateway.store.writes import Writes
from tests.exports import ROOT, a_message, a_run, a_step, a_thread, environment, give, held, lines, run, take, take_some
from tests.make import holding
from tests.pace import patience
from tests.transfer import loading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from gateway.core.taken import Taken

T = TypeVar("T")

WHO = Principal(Reach("default"))
A = ThreadId("thread_a")


def on(database_url: str, work: Callable[[Store], Awaitable[T]]) -> T:
    """Do something with a database that an import has come to, or will."""

    async def open_text() -> T:
        store = open_store(database_url)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(open_text())


def thread(thread_id: str = "thread_a") -> Thread:
    found = archive.read(a_thread(thread_id))
    assert isinstance(found, Thread)
    return found


def message(number: int, thread_id: str = "thread_a") -> Message:
    found = archive.read(a_message(f"msg_{number}", thread_id))
    assert isinstance(found, Message)
    return found


async def load(store: Store, *given: Message, thread_id: str = "thread_a") -> Taken:
    return await loading.load(store, WHO, thread(thread_id), given)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_message_that_was_deleted_stays_deleted(database_url: str, which: int) -> None:
    objects = [a_thread(), *(a_message(f"msg_{n}", created_at=n) for n in range(3))]
    take(database_url, *objects)
    on(database_url, lambda store: messages.delete(store, WHO, A, MessageId(f"msg_{which}")))
    before = give(database_url)

    take(database_url, *objects)

    assert give(database_url) == before


def test_a_thread_that_was_deleted_stays_deleted_with_its_messages(database_url: str) -> None:
    objects = [a_thread(), a_message("msg_1"), a_message("msg_2"), a_run(), a_step()]
    take(database_url, *objects)
    on(database_url, lambda store: threads.delete(store, WHO, A))

    done = run("import", "--database-url", database_url, given=lines(objects))

    assert done.stderr == (
        "Deleted here earlier, not imported again without --replace-deleted: "
        "1 threads with 4 messages, runs and steps.\n"
        "Threads: 0, messages: 0, already present: 0, rejected: 0.\n"
    )
    assert held(database_url) == []


def test_the_id_of_a_deleted_message_is_not_taken_by_another_thread(database_url: str) -> None:
    take(database_url, a_thread(), a_message("msg_1"))
    on(database_url, lambda store: messages.delete(store, WHO, A, MessageId("msg_1")))

    [said] = take_some(database_url, a_message("msg_1", "thread_b"))

    assert said.startswith("-: line 1: 'msg_1' is already a message of 'thread_a'.")


def test_fields_changed_after_an_import_are_kept_by_the_next_import(database_url: str) -> None:
    objects = [a_thread(), a_message("msg_1", metadata={"n": "1"})]
    take(database_url, *objects)
    patch = MessagePatch(metadata={"n": "2"})
    on(database_url, lambda store: messages.update(store, WHO, A, MessageId("msg_1"), patch))

    take(database_url, *objects)

    assert orjson.loads(give(database_url).splitlines()[1])["metadata"] == {"n": "2"}


async def test_a_new_message_follows_the_imported_ones(rest: httpx.AsyncClient, store: Store) -> None:
    await load(store, message(1), message(2))

    made = (await rest.post("/threads/thread_a/messages", json={"role": "user", "content": "hi"})).json()

    listed = (await rest.get("/threads/thread_a/messages", params={"order": "asc"})).json()["data"]
    assert [each["id"] for each in listed] == ["msg_1", "msg_2", made["id"]]


async def test_imported_messages_are_counted(store: Store) -> None:
    taken = await load(store, message(1), message(2), message(3))

    found = await threads.get(store, WHO, A)
    assert (found.message_count, taken.threads, taken.messages, taken.known) == (3, 1, 3, 0)


async def test_a_second_import_counts_all_as_known(store: Store) -> None:
    await load(store, message(1), message(2))

    taken = await load(store, message(1), message(2))

    assert (taken.threads, taken.messages, taken.known) == (0, 0, 3)


async def test_a_thread_that_fails_halfway_is_not_imported(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_off(*_arguments: object, **_more: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Writes, "append_messages", break_off)
    monkeypatch.setattr(Writes, "move_staged", break_off)

    with pytest.raises(RuntimeError):
        await load(store, message(1))

    with pytest.raises(NotFound):
        await threads.get(store, WHO, A)


async def test_a_thread_that_is_deleted_while_it_is_imported_is_not_brought_back(postgres_url: str) -> None:
    store = open_store(postgres_url)
    await load(store, message(1))
    async with holding(store, lambda transaction: transaction.remove_thread(WHO.reach, A)):
        importing = asyncio.create_task(load(store, message(1)))
        await until_one_waits(postgres_url)

    taken = await importing

    with pytest.raises(NotFound):
        await threads.get(store, WHO, A)
    assert (taken.threads, taken.messages, taken.known) == (0, 0, 0)
    assert (taken.deleted, taken.deleted_lines) == (1, 1)
    await store.close()


async def test_two_imports_of_the_same_at_once_wait_for_each_other(database_url: str) -> None:
    first, second = (open_store(database_url, timeouts=None) for _ in range(2))  # as the command does

    taken = await asyncio.gather(*(load(store, message(n)) for store in (first, second) * 5 for n in range(3)))

    assert sum(each.messages for each in taken) == 3
    await first.close()
    await second.close()


async def until_one_waits(postgres_url: str) -> None:
    """Come back as soon as somebody waits for a lock in the database."""
    url = postgres_url.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(patience(30)), engine.connect() as connection:
        while not (await connection.execute(waiting)).scalar_one():
            pass
    await engine.dispose()


async def started(database_url: str, file: Path) -> asyncio.subprocess.Process:
    """Import a file in a process of its own."""
    command = (sys.executable, "-m", "gateway", "import", str(file), "--database-url", database_url)
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment(), stderr=asyncio.subprocess.PIPE)


# The command line as it is, but killed when it has written messages and not yet committed, some of a thread before.
_KILLED_IN_THE_MIDDLE = """
import os, signal
from gateway.cli.commands import main
from gateway.core import filling
from gateway.store import staging
from gateway.store.filling import FillWrites
staging.GROUP, filling._HOLD_S, filling._CHUNK_BYTES = 1, 0, 9_000
add = FillWrites.add_filled
async def add_and_die(self, reach, begun, added, now):
    is_there = await add(self, reach, begun, added, now)
    if begun.count > 800:
        os.kill(os.getpid(), signal.SIGKILL)
    return is_there
FillWrites.add_filled = add_and_die
main()
"""


def test_a_killed_import_leaves_only_whole_threads_and_can_be_repeated(database_url: str, tmp_path: Path) -> None:
    ids = [f"msg_{n}" for n in range(1_200)]
    file = tmp_path / "threads.jsonl"
    many = [a_message(each, "thread_b", created_at=n) for n, each in enumerate(ids)]
    file.write_bytes(lines([a_thread(), a_message(), a_thread("thread_b"), *many]))
    arguments = ("import", str(file), "--database-url", database_url)

    command = [sys.executable, "-c", _KILLED_IN_THE_MIDDLE, *arguments]
    killed = subprocess.run(command, check=False, cwd=ROOT, env=environment())

    assert killed.returncode == -signal.SIGKILL
    assert held(database_url) == ["thread_a", "msg_a"]
    assert run(*arguments).exit_code == 0
    assert held(database_url) == ["thread_a", "msg_a", "thread_b", *ids]


async def test_a_server_accepts_writes_while_an_import_runs(postgres_url: str, tmp_path: Path) -> None:
    """Its own thread, and one that the import fills at the same time."""
    file = tmp_path / "threads.jsonl"
    ids = [f"msg_{n}" for n in range(2_000)]
    file.write_bytes(lines([a_thread(), *(a_message(each) for each in ids), a_message("msg_x", "thread_x")]))
    store = open_store(postgres_url)
    transport = httpx.ASGITransport(serve_store(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as rest:
        own = (await rest.post("/threads")).json()["id"]
        written = []
        process = await started(postgres_url, file)
        finished = asyncio.create_task(process.communicate())
        while not finished.done():
            for thread_id in (own, "thread_a"):
                answer = await rest.post(f"/threads/{thread_id}/messages", json={"role": "user", "content": "hi"})
                assert answer.status_code == 200 or (thread_id, answer.status_code) == ("thread_a", 404)
                if answer.status_code == 200:
                    written.append((thread_id, answer.json()["id"]))

    _, said = await finished
    assert (process.returncode, said.startswith(b"Threads: 2, messages: 2001,")) == (0, True)
    for thread_id, imported in ((own, []), (A, ids)):
        found = [each.id async for each in transfer.export_messages(store, WHO, thread_id)]
        assert found == [*imported, *(made for where, made in written if where == thread_id)]
    await store.close()
