"""Many messages for a thread that exists are imported in short transactions, each of which adds the next ones."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.core import filling, long_append, messages, threads, transfer
from gateway.core.taken import Given
from gateway.domain.direction import Direction
from gateway.domain.idempotency import KeyRecord
from gateway.domain.ids import MessageId
from gateway.errors import NotFound
from gateway.store import staging
from gateway.store.reads import Reads
from gateway.transfer import importer
from tests.exports import ROOT, a_message, a_thread, environment, held, lines, run, take
from tests.following import say
from tests.stepping import stepping
from tests.transfer.test_long_threads import (
    IDS,
    SIX,
    WHO,
    A,
    Interrupted,
    ids,
    interrupt,
    large_messages,
    load,
    load_with,
    message,
    thread,
    waits_beside_import,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.core import Store
    from gateway.domain.principal import Reach

KEYS: Final = [KeyRecord(A, each, "message key", f"k{each}", "f") for each in IDS]


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every thread be too long, and each transaction add one message."""
    monkeypatch.setattr(staging, "_FIRST", 0)
    monkeypatch.setattr(filling, "_CHUNK_BYTES", 0)
    monkeypatch.setattr(filling, "_HOLD_S", 0)


@pytest.fixture
async def begun(store: Store) -> Store:
    """Import the first two messages of six."""
    await load(store, SIX[:2])
    return store


async def test_readers_see_a_beginning_of_what_is_added(begun: Store) -> None:
    seen: list[list[str]] = []

    async def look(_number: int) -> None:
        seen.append(await ids(begun))
        assert (await threads.get(begun, WHO, A)).message_count == len(seen[-1])

    await load_with(begun, look)

    assert seen == [IDS[:n] for n in (3, 4, 5, 6)]


async def test_an_import_that_broke_off_is_completed_by_the_next_one(begun: Store) -> None:
    with pytest.raises(Interrupted):
        await load_with(begun, interrupt, keys=KEYS)

    assert await ids(begun) == IDS[:5]
    taken = await load(begun, keys=KEYS)

    assert (taken.threads, taken.messages, taken.known, taken.refused) == (0, 1, 6, [])
    assert await ids(begun) == IDS
    assert {each async for each in transfer.export_keys(begun, WHO, A)} == set(KEYS)


@pytest.mark.parametrize("number", [1, 3])
async def test_what_a_client_adds_meanwhile_stands_between_and_nothing_is_lost(begun: Store, number: int) -> None:
    new: list[str] = []

    async def post(at: int) -> None:
        if at == number:
            new.extend(await say(begun, WHO, A, "new"))

    taken = await load_with(begun, post, keys=KEYS)
    again = await load(begun)

    assert (taken.messages, taken.refused) == (4, [])
    assert (again.messages, again.known, again.refused) == (0, 7, [])
    assert await ids(begun) == [*IDS[: 2 + number], *new, *IDS[2 + number :]]
    assert {each async for each in transfer.export_keys(begun, WHO, A)} == set(KEYS)


async def test_times_do_not_fall_after_what_a_client_has_added_meanwhile(begun: Store) -> None:
    async def post(at: int) -> None:
        if at == 1:
            await say(begun, WHO, A, "new")

    await load_with(begun, post)
    await say(begun, WHO, A, "newest")

    *_, before, _, _, _, last = [each.created_at async for each in transfer.export_messages(begun, WHO, A)]
    assert before <= last


async def test_a_newer_message_from_before_refuses_all(begun: Store) -> None:
    new = await say(begun, WHO, A, "new")

    taken = await load(begun)

    [refused] = taken.refused
    assert (refused.staged.message.id, refused.added, taken.messages) == (IDS[2], 0, 0)
    assert refused.reason.startswith("'thread_a' already holds newer messages")
    assert await ids(begun) == [*IDS[:2], *new]


async def test_a_newer_message_between_the_check_and_the_first_transaction_refuses_all(
    begun: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = long_append._check  # noqa: SLF001

    async def then_post(*arguments: Any) -> Any:
        found = await check(*arguments)
        await say(begun, WHO, A, "new")
        return found

    monkeypatch.setattr(long_append, "_check", then_post)
    taken = await load(begun)

    assert ([each.added for each in taken.refused], taken.messages) == ([0], 0)


async def test_a_message_of_another_thread_refuses_all_before_any_is_added(begun: Store) -> None:
    await load(begun, [message(IDS[5], "thread_b")], thread=thread(thread_id="thread_b"))

    taken = await load(begun)

    assert [each.reason for each in taken.refused] == ["'msg_5' is already a message of 'thread_b'."]
    assert await ids(begun) == IDS[:2]


@pytest.mark.parametrize("number", [1, 3])
async def test_an_id_that_another_thread_takes_meanwhile_leaves_what_was_added_before(
    begun: Store, number: int
) -> None:
    async def take_last(at: int) -> None:
        if at == number:
            await load(begun, [message(IDS[5], "thread_b")], thread=thread(thread_id="thread_b"))

    taken = await load_with(begun, take_last, keys=KEYS)

    assert [(each.staged.message.id, each.added) for each in taken.refused] == [(IDS[5], 3)]
    assert await ids(begun) == IDS[:5]
    assert {each async for each in transfer.export_keys(begun, WHO, A)} == set(KEYS[:5])


async def test_what_was_added_before_something_came_in_between_is_reported(
    begun: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    async def delete(at: int) -> None:
        if at == 2:
            await threads.delete(begun, WHO, A)

    with staging.Staging() as staged, stepping(begun, delete):
        number = staged.begin_list(0, Direction.RISING, is_explicit=True)
        for place, each in enumerate(SIX):
            staged.add_message(number, "-", f"line {place}", each)
        staged.finish()
        await importer.load(begun, WHO, staged, rejects := importer.Rejects(None), lambda _count: None)

    reported = "-: line 4: 'thread_a' was deleted while it was imported. New messages before it were imported: 2.\n"
    assert (capsys.readouterr().err, rejects.count) == (reported, 6)


async def test_a_run_that_begins_meanwhile_is_not_interrupted(begun: Store) -> None:
    async def lock(at: int) -> None:
        if at == 2:
            await begun.write(lambda transaction: transaction.lock_thread(WHO.reach, A, "run_1"))

    taken = await load_with(begun, lock)

    [refused] = taken.refused
    assert refused.reason.startswith("'thread_a' is being answered by 'run_1'")
    assert (taken.messages, refused.added) == (2, 2)


async def test_a_thread_that_is_deleted_meanwhile_stays_deleted(begun: Store) -> None:
    async def delete(at: int) -> None:
        if at == 2:
            await threads.delete(begun, WHO, A)

    taken = await load_with(begun, delete)

    assert [each.reason for each in taken.refused] == ["'thread_a' was deleted while it was imported."]
    with pytest.raises(NotFound):
        await threads.get(begun, WHO, A)


async def test_a_message_that_is_deleted_meanwhile_stays_deleted(begun: Store) -> None:
    async def delete(at: int) -> None:
        if at == 2:
            await messages.delete(begun, WHO, A, MessageId(IDS[2]))

    await load_with(begun, delete)
    again = await load(begun)

    assert (again.messages, again.known) == (0, 7)
    assert await ids(begun) == [*IDS[:2], *IDS[3:]]


async def test_imports_of_the_same_at_once_end_with_each_message_once(begun: Store) -> None:
    taken = await asyncio.gather(*(load(begun) for _ in range(4)))

    assert await ids(begun) == IDS
    assert [each.refused for each in taken] == [[]] * 4
    assert sum(each.messages for each in taken) == 4


async def test_what_another_import_adds_during_a_check_is_no_gap(begun: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning was read before the other import added it, and the end after that."""
    monkeypatch.setattr(staging, "BATCH", 1)
    known, looked = Reads.known_messages, 0

    async def then_add(self: Reads, reach: Reach, message_ids: Sequence[str]) -> dict[str, str]:
        nonlocal looked
        found = await known(self, reach, message_ids)
        looked += list(message_ids) == IDS[2:3]
        if looked == 2:  # first it is the end of what is known
            looked += 1
            await load(begun)
        return found

    monkeypatch.setattr(Reads, "known_messages", then_add)
    taken = await load(begun)

    assert (taken.refused, taken.messages, taken.known) == ([], 0, 7)
    assert (await ids(begun), looked > 2) == (IDS, True)


async def test_the_own_line_of_a_thread_replaces_what_was_inferred(store: Store) -> None:
    with staging.Staging() as staged:
        number = staged.begin_list(0, Direction.RISING, is_explicit=True)
        for place, each in enumerate(SIX[:2]):
            staged.add_message(number, "-", str(place), each)
        staged.finish()
        [group] = staged.groups()
        given = [Given(*each) for each in group.threads]
        await transfer.import_threads(store, WHO, given, staged, is_long=group.is_long)

    await load(store, thread=thread(metadata={"a": "b"}))

    assert ((await threads.get(store, WHO, A)).metadata, await ids(store)) == ({"a": "b"}, IDS)


# The command line as it is, but killed when it has written messages and not yet committed, some of them before.
_KILLED_IN_THE_MIDDLE: Final = """
import os, signal
from gateway.cli.commands import main
from gateway.core import filling
from gateway.store.writes import Writes
filling._HOLD_S, filling._CHUNK_BYTES = 0, 9_000
append, left = Writes.append_messages, 6
async def append_and_die(self, *arguments):
    global left
    await append(self, *arguments)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
Writes.append_messages = append_and_die
main()
"""


def test_an_import_that_is_killed_leaves_a_beginning_and_is_completed(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    made = [a_message(f"msg_{n}", created_at=n) for n in range(1_200)]
    take(database_url, a_thread(), *made[:10])
    file = tmp_path / "thread.jsonl"
    file.write_bytes(lines([a_thread(), *made]))
    arguments = ("import", str(file), "--database-url", database_url)

    killed = subprocess.run(
        [sys.executable, "-c", _KILLED_IN_THE_MIDDLE, *arguments], check=False, cwd=ROOT, env=environment()
    )

    after = held(database_url)
    assert killed.returncode == -signal.SIGKILL
    assert 100 < len(after) < 1_000
    assert after == ["thread_a", *(f"msg_{n}" for n in range(len(after) - 1))]
    assert run(*arguments).exit_code == 0
    assert held(database_url) == ["thread_a", *(f"msg_{n}" for n in range(1_200))]


async def test_an_import_into_a_thread_that_exists_leaves_sqlites_writer_to_others(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    file = tmp_path / "thread.jsonl"
    made = large_messages()
    await asyncio.to_thread(take, sqlite_url, a_thread(), *made[:10])
    file.write_bytes(lines([a_thread(), *made]))

    waits = await waits_beside_import(sqlite_url, file)

    assert max(waits) < sum(waits) / 2  # not by seconds, since other tests run at the same time
