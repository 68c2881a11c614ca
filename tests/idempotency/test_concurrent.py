"""Creations with the same key that run at the same time, and deletions between them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.core import messages, threads
from gateway.domain.idempotency import Attempt
from gateway.domain.page import Order, PageRequest
from gateway.domain.thread import NewThread
from gateway.errors import NotFound
from tests.make import list_page, make_thread, new_message

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.principal import Principal

EMPTY = NewThread({}, {})
PAGE = PageRequest(100, Order.ASC)


async def test_fifty_messages_at_once_with_one_key_are_one(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    attempts = [Attempt("k") for _ in range(50)]

    made = await asyncio.gather(*[messages.create(store, who, thread_id, new_message("hi"), each) for each in attempts])

    assert len(set(made)) == 1
    assert [each.is_replay for each in attempts].count(False) == 1
    assert len((await list_page(store, who, thread_id, PAGE)).items) == 1
    assert (await threads.get(store, who, thread_id)).message_count == 1


async def test_fifty_threads_at_once_with_one_key_are_one(store: Store, who: Principal) -> None:
    new = NewThread({"a": "1"}, {}, (new_message("one"), new_message("two")))

    made = await asyncio.gather(*[threads.create(store, who, new, Attempt("k")) for _ in range(50)])

    assert len(set(made)) == 1
    assert await threads.count(store, who) == 1
    assert len((await list_page(store, who, made[0].id, PAGE)).items) == 2


async def test_a_replay_takes_no_position(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    await messages.create(store, who, thread_id, new_message("hi"), Attempt("k"))
    before = await store.last_positions([(who.reach.project_id, thread_id)])

    await messages.create(store, who, thread_id, new_message("hi"), Attempt("k"))

    assert await store.last_positions([(who.reach.project_id, thread_id)]) == before
    assert (await threads.get(store, who, thread_id)).message_count == 1


@pytest.mark.parametrize("tries", range(5))
async def test_a_deletion_at_the_same_time_lets_no_second_creation_in(store: Store, who: Principal, tries: int) -> None:
    del tries
    thread_id = await make_thread(store, who)
    made = await messages.create(store, who, thread_id, new_message("hi"), Attempt("k"))
    again = [messages.create(store, who, thread_id, new_message("hi"), Attempt("k")) for _ in range(8)]

    found = await asyncio.gather(
        *again[:4], messages.delete(store, who, thread_id, made.id), *again[4:], return_exceptions=True
    )

    assert {each.id for each in found if isinstance(each, type(made))} <= {made.id}
    assert {type(each) for each in found} <= {type(made), str, NotFound}
    assert (await list_page(store, who, thread_id, PAGE)).items == ()
    assert (await threads.get(store, who, thread_id)).message_count == 0


async def test_a_deleted_thread_at_the_same_time_lets_no_second_one_in(store: Store, who: Principal) -> None:
    made = await threads.create(store, who, EMPTY, Attempt("k"))
    again = [threads.create(store, who, EMPTY, Attempt("k")) for _ in range(8)]

    await asyncio.gather(*again[:4], threads.delete(store, who, made.id), *again[4:], return_exceptions=True)

    assert await threads.count(store, who) == 0
