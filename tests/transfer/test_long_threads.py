"""A new thread that is too long for one transaction is imported in several, and visible when it is whole."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.core import erasing, filling, follow_list, threads, transfer
from gateway.core.clock import now_ms
from gateway.core.taken import Given
from gateway.domain import archive
from gateway.domain.change import ThreadCreated
from gateway.domain.direction import Direction
from gateway.domain.idempotency import KeyRecord
from gateway.domain.ids import MessageId, ThreadId
from gateway.domain.message import Message
from gateway.domain.page import PageRequest
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.domain.thread import Thread
from gateway.domain.thread_list import OrderBy, Selection
from gateway.errors import NotFound
from gateway.store import staging
from tests.exports import a_message, a_text, a_thread, lines
from tests.following import say, take
from tests.stepping import stepping
from tests.transfer import loading
from tests.transfer.test_import_beside_others import started

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from gateway.core import Store
    from gateway.core.taken import Taken
    from gateway.events.hub import Hub
    from tests.stepping import Between

WHO: Final = Principal(Reach("default"), KEY_SCOPES)
ALICE: Final = Principal(Reach("default", owner="alice"))
A: Final = ThreadId("thread_a")
IDS: Final = [MessageId(f"msg_{n}") for n in range(6)]
ACTIVE: Final = Selection(by=OrderBy.ACTIVITY)


class Interrupted(Exception):
    """What breaks an import off."""


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every thread be too long, and each transaction add one message."""
    monkeypatch.setattr(staging, "_FIRST", 0)
    monkeypatch.setattr(filling, "_CHUNK_BYTES", 0)
    monkeypatch.setattr(filling, "_HOLD_S", 0)


def thread(**fields: Any) -> Thread:
    found = archive.read(a_thread(**fields))
    assert isinstance(found, Thread)
    return found


def message(message_id: str, thread_id: str = "thread_a", **fields: Any) -> Message:
    found = archive.read(a_message(message_id, thread_id, **fields))
    assert isinstance(found, Message)
    return found


SIX: Final = [message(each, created_at=n) for n, each in enumerate(IDS)]


async def load(store: Store, given: list[Message] = SIX, **options: Any) -> Taken:
    return await loading.load(store, WHO, options.pop("thread", thread()), given, **options)


async def load_with(store: Store, between: Between, **options: Any) -> Taken:
    """Import six messages, and call a function with the number of its transaction after each that adds one."""
    with stepping(store, between):
        return await load(store, **options)


async def ids(store: Store, thread_id: ThreadId = A) -> list[str]:
    return [each.id async for each in transfer.export_messages(store, WHO, thread_id)]


async def interrupt(number: int) -> None:
    if number == 3:
        raise Interrupted


async def unfinished(store: Store) -> list[Any]:
    async with store.read() as reads:
        return await reads.list_abandoned(1 << 60, 9)


QUERY: Final = """{ thread(id: "thread_a") { id messages(first: 9) { nodes { id } } } node(id: "msg_0") { id }
    nodes(ids: ["thread_a", "msg_1"]) { id } threads(first: 9) { totalCount nodes { id } } }"""
NOTHING: Final = {"thread": None, "node": None, "nodes": [None, None], "threads": {"totalCount": 0, "nodes": []}}


async def test_nobody_reaches_a_thread_by_its_id_before_it_is_whole(store: Store, rest: httpx.AsyncClient) -> None:
    answers: list[Any] = []

    async def look(number: int) -> None:
        if number > len(IDS):
            return
        own, new = "/threads/thread_a", {"role": "user", "content": "hi"}
        asked = [
            *(rest.get(f"{own}{path}") for path in ("", "/messages", "/messages/msg_0")),
            *(rest.post(f"{own}{path}", json={"metadata": {"a": "b"}}) for path in ("", "/messages/msg_0")),
            rest.post(f"{own}/messages", json=new),
            rest.delete(own),
        ]
        answers.extend([(await each).status_code for each in asked])

    taken = await load_with(store, look)

    assert set(answers) == {404}
    assert (taken.threads, taken.messages, taken.known) == (1, 6, 0)
    assert await ids(store) == IDS
    assert (await rest.get("/threads/thread_a/messages")).status_code == 200


async def test_graphql_does_not_know_a_thread_before_it_is_whole(store: Store, rest: httpx.AsyncClient) -> None:
    answers: list[Any] = []

    async def look(_number: int) -> None:
        answers.append((await rest.post("http://gateway/graphql", json={"query": QUERY})).json())

    await load_with(store, look)

    *before, after = answers
    assert [each["data"] for each in before] == [NOTHING] * len(IDS)
    assert len(after["data"]["thread"]["messages"]["nodes"]) == len(IDS)


async def test_followers_get_a_thread_once_and_when_it_is_whole(store: Store, hub: Hub) -> None:
    place = await follow_list.start(store, hub, ALICE, None, None)
    changes = follow_list.changes(store, hub, ALICE, place)

    await load(store, thread=thread(owner="alice"))
    await say(store, ALICE, A, "more")
    told: Any
    [told] = await take(changes, 1)
    await changes.aclose()

    assert isinstance(told.item, ThreadCreated)
    assert told.item.thread.message_count >= len(IDS)


@pytest.mark.parametrize("options", [{}, {"owner": "alice", "metadata": {"a": "b"}}], ids=["plain", "owned"])
async def test_a_long_thread_becomes_what_it_would_be_in_one_transaction(
    store: Store, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    await load(store, thread=thread(**options))
    monkeypatch.setattr(staging, "_FIRST", 500)
    short = [message(f"{each.id}b", "thread_b", created_at=each.created_at) for each in SIX]
    await load(store, short, thread=thread(thread_id="thread_b", **options))

    [of_long, of_short] = [await threads.get(store, WHO, ThreadId(each)) for each in ("thread_a", "thread_b")]
    page = await threads.list_page(store, WHO, PageRequest(limit=9), ACTIVE)

    assert of_long == of_short._replace(id=of_long.id)
    assert [each.id for each in page.items] == ["thread_b", "thread_a"]
    new = [(await say(store, WHO, each.id, "new"))[0] for each in (of_long, of_short)]
    assert (await ids(store), await ids(store, of_short.id)) == (
        [*IDS, new[0]],
        [*(each.id for each in short), new[1]],
    )


async def test_what_an_import_left_is_removed_by_the_next_one(store: Store) -> None:
    with pytest.raises(Interrupted):
        await load_with(store, interrupt)

    taken = await load(store)

    assert (taken.threads, taken.messages, taken.known, taken.refused) == (1, 6, 0, [])
    assert await ids(store) == IDS


async def test_what_an_import_left_is_removed_by_a_short_one_of_other_messages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        await load_with(store, interrupt)
    monkeypatch.setattr(staging, "_FIRST", 500)

    await load(store, SIX[1:2])

    assert await ids(store) == [IDS[1]]


async def test_what_an_import_left_is_removed_by_a_server(store: Store) -> None:
    with pytest.raises(Interrupted):
        await load_with(store, interrupt)

    assert await filling.remove_abandoned(store, now_ms() + 1) == 1
    assert await unfinished(store) == []
    assert await threads.count(store, WHO) == 0


@pytest.mark.parametrize("number", [1, 3, 6])
async def test_of_two_imports_of_a_thread_the_later_one_has_its_messages_and_the_other_is_refused(
    store: Store, number: int
) -> None:
    later: list[Taken] = []

    async def begin(at: int) -> None:
        if at == number and not later:
            later.append(await load(store, SIX[:4]))

    first = await load_with(store, begin)

    [refused] = first.refused
    assert refused.reason.startswith("'thread_a' was deleted, or another import of it began")
    assert (first.threads, first.messages, later[0].messages) == (0, 0, 4)
    assert await ids(store) == IDS[:4]


async def test_imports_of_the_same_at_once_end_with_the_whole_thread(store: Store) -> None:
    taken = await asyncio.gather(*(load(store) for _ in range(4)))

    assert await ids(store) == IDS
    assert sum(each.messages for each in taken) == len(IDS)
    assert await unfinished(store) == []


async def test_a_message_of_another_thread_refuses_a_long_thread_and_leaves_nothing(store: Store) -> None:
    await load(store, [message(IDS[4], "thread_b")], thread=thread(thread_id="thread_b"))

    taken = await load(store)

    [refused] = taken.refused
    assert refused.reason == "'msg_4' is already a message of 'thread_b'."
    assert (taken.threads, taken.messages) == (0, 0)
    assert await unfinished(store) == []
    with pytest.raises(NotFound):
        await threads.get(store, WHO, A)


async def test_a_message_that_was_read_twice_is_imported_once(store: Store) -> None:
    taken = await load(store, [*SIX, SIX[-1]])

    assert (taken.messages, taken.known) == (6, 1)
    assert await ids(store) == IDS


async def test_a_second_import_of_a_long_thread_adds_what_is_new(store: Store) -> None:
    await load(store, SIX[:4])

    taken = await load(store)
    again = await load(store)

    assert (taken.threads, taken.messages, taken.known) == (0, 2, 5)
    assert (again.threads, again.messages, again.known) == (0, 0, 7)
    assert await ids(store) == IDS


async def test_messages_between_those_that_are_known_refuse_a_long_thread(store: Store) -> None:
    await load(store, [*SIX[:2], *SIX[4:]])

    taken = await load(store)

    assert [each.staged.message.id for each in taken.refused] == [IDS[2]]
    assert await ids(store) == [*IDS[:2], *IDS[4:]]


async def test_idempotency_keys_are_there_when_a_long_thread_is(store: Store) -> None:
    keys = [KeyRecord(A, each, "message key", f"k{each}", "f") for each in IDS] + [
        KeyRecord(A, A, "thread key", "t", "f")
    ]

    await load(store, keys=keys)

    assert {each async for each in transfer.export_keys(store, WHO, A)} == set(keys)


async def test_keys_of_a_long_thread_that_exists_are_imported_though_its_messages_take_no_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_FIRST", 4)
    keys = [KeyRecord(A, each, "message key", f"k{each}", "f") for each in IDS]
    await load(store)

    await load(store, keys=keys)

    assert {each async for each in transfer.export_keys(store, WHO, A)} == set(keys)


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_a_long_thread_that_was_deleted_comes_back_only_if_asked_and_at_its_place(
    store: Store, *, is_replaced: bool
) -> None:
    await load(store)
    await load(store, [message("msg_b", "thread_b")], thread=thread(thread_id="thread_b"))
    before = await threads.list_page(store, WHO, PageRequest(limit=9))
    position = (await store.last_positions([("default", A)]))["default", A]
    await threads.delete(store, WHO, A)

    taken = await load(store, replace_deleted=is_replaced)

    listed = await threads.list_page(store, WHO, PageRequest(limit=9))
    assert (taken.deleted, taken.messages) == ((0, 6) if is_replaced else (1, 0))
    assert [each.id for each in listed.items] == [each.id for each in before.items if is_replaced or each.id != A]
    if is_replaced:
        assert position is not None
        assert ((await store.last_positions([("default", A)]))["default", A] or 0) > position + len(IDS)


async def test_a_deleted_thread_whose_import_breaks_off_stays_deleted(store: Store) -> None:
    await load(store)
    await threads.delete(store, WHO, A)
    with pytest.raises(Interrupted):
        await load_with(store, interrupt, replace_deleted=True)

    await filling.remove_abandoned(store, now_ms() + 1)

    assert (await load(store)).deleted == 1
    assert (await load(store, replace_deleted=True)).messages == len(IDS)


async def test_an_erasure_takes_a_long_thread_that_is_not_whole(store: Store) -> None:
    async def erase(number: int) -> None:
        if number == 2:
            await erasing.erase(store, WHO, "alice")

    taken = await load_with(store, erase, thread=thread(owner="alice"))

    assert len(taken.refused) == 1
    assert await unfinished(store) == []
    assert await threads.count(store, WHO) == 0


async def test_a_thread_without_a_line_of_its_own_is_inferred_from_many_messages(store: Store) -> None:
    with staging.Staging() as staged:
        number = staged.begin_list(0, Direction.RISING, is_explicit=True)
        for place, each in enumerate(SIX):
            staged.add_message(number, "-", str(place), each)
        staged.finish()
        [group] = staged.groups()
        given = [Given(*each) for each in group.threads]
        await transfer.import_threads(store, WHO, given, staged, is_long=group.is_long)

    taken = await load(store, thread=thread(metadata={"a": "b"}))

    assert (taken.known, (await threads.get(store, WHO, A)).metadata) == (7, {"a": "b"})


async def test_an_import_of_one_long_thread_leaves_sqlites_writer_to_others(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one transaction it would have it for as long as all of it takes: 0.7 s where this is 0.1."""
    monkeypatch.undo()
    file = tmp_path / "thread.jsonl"
    file.write_bytes(lines([a_thread(), *large_messages()]))

    waits = await waits_beside_import(sqlite_url, file)
    of_known = await waits_beside_import(sqlite_url, file)

    assert max(*waits, *of_known) < sum(waits) / 2  # not by seconds, since other tests run at the same time


def large_messages() -> list[Any]:
    return [a_message(f"msg_{n}", created_at=n, content=[a_text("x" * 2_500)]) for n in range(6_000)]


async def waits_beside_import(url: str, file: Path) -> list[float]:
    """Import a file into SQLite by a process; return how long each write of another one waited for its turn."""
    process = await started(url, file)
    ended = asyncio.create_task(process.communicate())
    waits = await asyncio.to_thread(write_until, url.removeprefix("sqlite:///"), ended)
    await ended
    assert process.returncode == 0
    return waits


def write_until(path: str, ended: asyncio.Task[Any]) -> list[float]:
    """Write again and again until a task has ended; return how long each write waited for its turn."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    waits = []
    while not ended.done():
        begin = time.monotonic()
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError:
                time.sleep(0.001)
        waits.append(time.monotonic() - begin)
        connection.execute("UPDATE change_counter SET number = number")
        connection.execute("COMMIT")
        time.sleep(0.002)
    connection.close()
    return waits


@pytest.mark.parametrize("is_long", [True, False], ids=["long", "short"])
async def test_what_is_left_of_a_deleted_thread_is_removed_before_it_is_imported_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, is_long: bool
) -> None:
    await load(store)
    await store.write(lambda transaction: transaction.hide_thread(WHO.reach, A))
    if not is_long:
        monkeypatch.setattr(staging, "_FIRST", 500)

    left = await load(store)
    taken = await load(store, replace_deleted=True)

    assert (left.threads, left.deleted) == (0, 1)
    assert (taken.threads, taken.messages, taken.refused) == (1, 6, [])
    assert await ids(store) == IDS


async def test_a_deletion_ends_a_long_append_of_what_is_left_out_then(store: Store) -> None:
    await load(store, SIX[:2])

    async def delete(number: int) -> None:
        if number == 2:
            await store.write(lambda transaction: transaction.hide_thread(WHO.reach, A))

    taken = await load_with(store, delete)

    assert [each.reason for each in taken.refused] == ["'thread_a' was deleted while it was imported."]
    assert await filling.remove_abandoned(store, 1) == 1
