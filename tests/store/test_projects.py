"""No method of the store shows or changes what its caller cannot reach."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import api_keys, messages, threads
from gateway.domain.api_key import NewApiKey
from gateway.domain.delta import Delta
from gateway.domain.page import WIRE, PageRead, PageRequest
from gateway.domain.principal import ALL_SCOPES, Principal, Reach, TokenEpoch
from gateway.domain.snapshot import Snapshot
from gateway.domain.thread import Inferred, NewThread
from gateway.domain.thread_list import ALL, LAST_READ, SOURCE, Beside
from gateway.errors import NotFound
from gateway.store.reads import Reads
from gateway.store.writes import End, Place, Writes
from tests.make import fill_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.core import Store
    from gateway.domain.message import Message
    from gateway.domain.page import Page, Rows
    from gateway.domain.thread import Thread
    from gateway.store.message_reads import Batch
    from gateway.store.thread_changes import ListBatch

    Call = Callable[[Writes, Reach, Thread, Message], Awaitable[Any]]

STRANGER = Reach("stranger")
OWNER = "alice"
STRANGERS = {
    "another project": STRANGER,
    "the same owner in another project": Reach("stranger", owner=OWNER),
    "another owner": Reach("default", owner="bob"),
    "a token for another thread": Reach("default", thread_id="thread_another"),
    "its owner's token for another thread": Reach("default", owner=OWNER, thread_id="thread_another"),
}
PAGE = PageRequest()
BESIDE = Beside(PageRead((), PageRequest(1), with_more=False), "user:alice", 9, (LAST_READ, SOURCE))
CALLS: dict[str, Call] = {
    "get_threads": lambda tx, who, thread, _: tx.get_threads(who, [thread.id]),
    "get_messages": lambda tx, who, _, message: tx.get_messages(who, [message.id]),
    "get_rows": lambda tx, who, _, message: _rows(tx.get_rows(who, [message.id])),
    "list_threads": lambda tx, who, *_: _items(tx.list_threads(who, PAGE)),
    "list_threads with what is beside them": lambda tx, who, *_: _items(tx.list_threads(who, PAGE, ALL, BESIDE)),
    "list_pages": lambda tx, who, thread, _: _pages(tx.list_pages(who, PageRead([thread.id], PAGE))),
    "list_pages as JSON": lambda tx, who, thread, _: _pages(
        tx.list_pages(who, PageRead([thread.id], PAGE, fields=WIRE))
    ),
    "list_pages with thread": lambda tx, who, thread, _: _pages(
        tx.list_pages(who, PageRead([thread.id], PAGE, None, ("content_json",), with_thread=True))
    ),
    "list_pages of several threads": lambda tx, who, thread, _: _pages(
        tx.list_pages(who, PageRead([thread.id, "thread_unknown"], PAGE))
    ),
    "any_thread_from": lambda tx, who, thread, _: tx.any_thread_from(who, thread.id, up=True),
    "any_message_from": lambda tx, who, thread, message: tx.any_message_from(who, thread.id, None, message.id, up=True),
    "has_place_among_threads": lambda tx, who, thread, _: tx.has_place_among_threads(who, thread.id),
    "has_place_in_thread": lambda tx, who, thread, message: tx.has_place_in_thread(who, thread.id, message.id),
    "count_threads": lambda tx, who, _thread, _: tx.count_threads(who),
    "list_beside": lambda tx, who, thread, _: _items(tx.list_beside(who, [thread.id], BESIDE)),
    "find_end": lambda tx, who, thread, _: _or_nothing(tx.find_end(who, thread.id, "user:alice")),
    "lock_end": lambda tx, who, thread, _: _or_nothing(tx.lock_end(who, thread.id)),
    "overdue_threads": lambda tx, who, *_: tx.overdue_threads(who, 1 << 60, 9),
    "count_owned": lambda tx, who, *_: _any_of(tx.count_owned(who)),
    "some_threads": lambda tx, who, *_: tx.some_threads(who, 9),
    "count_messages_of_run": lambda tx, who, thread, _: tx.count_messages_of_run(who, thread.id, "run_a"),
    "lock_ends": lambda tx, who, thread, _: tx.lock_ends(who, [thread.id]),
    "next_position": lambda tx, who, thread, _: _or_nothing(tx.next_position(who, thread.id)),
    "next_position_of": lambda tx, who, _, message: _or_nothing(tx.next_position_of(who, message.id)),
    "begin_finish": lambda tx, who, _, message: _or_nothing(tx.begin_finish(who, message.id, 0)),
    "begin_change": lambda tx, who, thread, _: _or_nothing(tx.begin_change(who, thread.id)),
    "list_messages_after": lambda tx, who, thread, _: _what_is_behind(tx.list_messages_after(who, thread.id, 0, 9)),
    "list_changes": lambda tx, who, thread, _: _what_is_behind(tx.list_changes(who, thread.id, 0, 9)),
    "list_thread_changes": lambda tx, who, *_: _what_is_behind(tx.list_thread_changes(who, Snapshot(1), 99)),
    "span_of": lambda tx, who, thread, _: tx.span_of(who, thread.id),
    "position_of": lambda tx, who, thread, message: tx.position_of(who, thread.id, message.id),
    "last_delta": lambda tx, who, _, message: tx.last_delta(who, message.id),
    "take_positions": lambda tx, who, thread, _: _or_nothing(tx.take_positions(who, thread.id, 1, 0)),
    "remove_thread": lambda tx, who, thread, _: tx.remove_thread(who, thread.id),
    "hide_thread": lambda tx, who, thread, _: _or_nothing(_hidden(tx, who, thread)),
    "remove_message": lambda tx, who, thread, message: tx.remove_message(who, Place(thread.id, message.id, 9)),
    "token_epochs": lambda tx, who, thread, _: tx.token_epochs(who, [thread.id]),
    "revoke_tokens": lambda tx, who, thread, _: tx.revoke_tokens(who, thread.id),
    "known_messages": lambda tx, who, _, message: tx.known_messages(who, [message.id]),
    "count_until": lambda tx, who, thread, _: tx.count_until(who, thread.id, 1 << 60, 9),
}
CHANGES: dict[str, Call] = {
    "set_thread": lambda tx, who, thread, _: tx.set_thread(who, _altered(thread), Inferred.METADATA, 9),
    "fill_thread": lambda tx, who, thread, _: tx.fill_thread(who, _altered(thread), End(1, 0)),
    "set_message_metadata": lambda tx, who, _, message: tx.set_message_metadata(who, _altered(message), 9),
    "set_message_content": lambda tx, who, _, message: tx.set_message_content(who, _regretted(message), 9),
}


_each_stranger = pytest.mark.parametrize("stranger", STRANGERS.values(), ids=list(STRANGERS))


@_each_stranger
@pytest.mark.uncounted
async def test_another_principal_finds_and_changes_nothing(store: Store, who: Principal, stranger: Reach) -> None:
    thread, message = await _something(store, who)

    for name, call in CALLS.items():
        found = await store.write(_with(call, stranger, thread, message))

        assert (name, bool(found)) == (name, False)
        assert (name, await threads.get(store, who, thread.id)) == (name, thread)
        assert (name, await messages.get(store, who, thread.id, message.id)) == (name, message)


@_each_stranger
@pytest.mark.uncounted
async def test_another_principal_finds_nothing_outside_transactions(
    store: Store, who: Principal, stranger: Reach
) -> None:
    thread, message = await _something(store, who)

    for name in [name for name in CALLS if hasattr(Reads, name)]:
        call: Any = CALLS[name]
        async with store.read() as reads:
            found = [bool(await call(reads, reach, thread, message)) for reach in (stranger, who.reach)]

        assert (name, found) == (name, [False, True])


@pytest.mark.parametrize(
    "reach",
    [
        pytest.param(lambda own, _: own, id="its own project"),
        pytest.param(lambda own, _: replace(own, owner=OWNER), id="its owner"),
        pytest.param(lambda own, thread: replace(own, thread_id=thread.id), id="a token for its thread"),
    ],
)
@pytest.mark.uncounted
async def test_every_call_finds_rows_for_the_owner_of_a_thread(
    store: Store, who: Principal, reach: Callable[[Reach, Thread], Reach]
) -> None:
    for name, call in CALLS.items():
        thread, message = await _something(store, who)
        found = await store.write(_with(call, reach(who.reach, thread), thread, message))

        assert (name, bool(found)) == (name, True)


@_each_stranger
async def test_another_principal_changes_nothing(store: Store, who: Principal, stranger: Reach) -> None:
    thread, message = await _something(store, who)

    for name, call in CHANGES.items():
        await store.write(_with(call, stranger, thread, message))

        assert (name, await threads.get(store, who, thread.id)) == (name, thread)
        assert (name, await messages.get(store, who, thread.id, message.id)) == (name, message)


async def test_a_deleted_thread_is_known_only_to_its_owner(store: Store, who: Principal) -> None:
    thread, _ = await _something(store, who)
    await threads.delete(store, who, thread.id)
    reaches = [who.reach, replace(who.reach, owner=OWNER), *STRANGERS.values()]

    async def work(transaction: Writes) -> tuple[list[bool], list[bool]]:
        known = [bool(await transaction.deleted_threads(each, [thread.id])) for each in reaches]
        return known, [await transaction.has_place_among_threads(each, thread.id) for each in reaches]

    known, placed = await store.write(work)

    assert known == placed == [True, True] + [False] * len(STRANGERS)


async def test_two_projects_may_have_the_same_ids(store: Store, who: Principal) -> None:
    thread, message = await _something(store, who)

    async def work(transaction: Writes) -> None:
        await transaction.add_thread(STRANGER, thread)
        await transaction.take_positions(STRANGER, thread.id, 1, 0)
        await transaction.add_messages(STRANGER, [message], 1)

    await store.write(work)
    await threads.delete(store, Principal(STRANGER), thread.id)

    assert await messages.get(store, who, thread.id, message.id) == message


@_each_stranger
async def test_another_principal_finds_no_token_epochs_of_a_thread(
    store: Store, who: Principal, stranger: Reach
) -> None:
    thread, _ = await _something(store, who)
    key, _ = await api_keys.create(store, NewApiKey(who.reach.project_id, "a key", ALL_SCOPES, None))
    await store.write(lambda transaction: transaction.revoke_tokens(who.reach, thread.id))

    async with store.read() as reads:
        later = [await reads.later_epochs(each, [thread.id]) for each in (who.reach, stranger)]
        standing = [await reads.token_standing(each, thread.id, key.id) for each in (who.reach, stranger)]

    assert later == [{thread.id: TokenEpoch(0, 1)}, {}]
    assert standing == [(key, TokenEpoch(0, 1)), (key, None)]


def test_every_method_with_a_project_has_a_case() -> None:
    methods = {
        name
        for name, method in inspect.getmembers(Writes, inspect.isfunction)
        if "reach" in inspect.signature(method).parameters and not name.startswith("_")
    }

    assert methods - set(CALLS) - set(CHANGES) == {
        "add_thread",
        "add_threads",
        "add_messages",
        "append_messages",
        "add_delta",
        "get_runs",  # of a thread that has one: tests/runs
        "deleted_threads",
        "raise_mark",  # these two change marks of a thread that is locked: tests/core/test_read_marks.py
        "lower_mark",
        "list_marked",  # these are of an erasure: tests/rights/test_erased_end_users.py
        "list_authored",
        "list_payers",
        "list_scopes",
        "erased_number",
        "bring_back",  # it adds one
        "move_staged",  # into threads that were just added: tests/transfer/test_moving.py
        "later_epochs",  # these two need a thread whose tokens were revoked, and a key: the test above
        "token_standing",
        "add_message",  # tests/store/test_append.py
        "find_created",  # these two need a key: tests/idempotency/test_scopes.py
        "refuse_deleted",
        "list_key_records",  # these two, too: tests/idempotency/test_transfer.py
        "restore_keys",
        "has_project",  # asked by operators alone: tests/cli/test_projects.py
    }


async def _any_of(counting: Awaitable[tuple[int, int]]) -> bool:
    return any(await counting)


def _with(call: Call, reach: Reach, thread: Thread, message: Message) -> Callable[[Writes], Awaitable[Any]]:
    return lambda transaction: call(transaction, reach, thread, message)


async def _something(store: Store, who: Principal) -> tuple[Thread, Message]:
    thread_id = (await threads.create(store, who, NewThread(metadata={}, tool_resources={}, owner=OWNER))).id
    [message] = await fill_thread(store, who, thread_id, ["run_a"])
    delta = Delta(number=1, part_index=0, start=0, text="x")
    await store.write(lambda transaction: transaction.add_delta(who.reach, Place(thread_id, message.id, 2), delta))
    return await threads.get(store, who, thread_id), message


async def _hidden(transaction: Any, reach: Reach, thread: Thread) -> bool:
    await transaction.hide_thread(reach, thread.id)
    return True


async def _or_nothing(found: Awaitable[Any]) -> Any:
    try:
        return await found
    except NotFound:
        return None


async def _what_is_behind(found: Awaitable[Batch[Any] | ListBatch]) -> list[Any]:
    return (await found).items


def _regretted(message: Message) -> Message:
    return message._replace(content_json=b"[]")


async def _pages(found: Awaitable[list[Rows]]) -> list[Any]:
    return [each for page in await found for each in (page.thread, *page.items) if each is not None]


async def _rows(found: Awaitable[Rows]) -> tuple[Any, ...]:
    return (await found).items


async def _items(page: Awaitable[Page[Any]]) -> tuple[Any, ...]:
    return (await page).items


def _altered(found: Any) -> Any:
    return found._replace(metadata_json='{"altered":"yes"}')
