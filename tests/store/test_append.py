"""A message is added in as few round trips as each database allows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.core import messages, streaming, threads
from gateway.domain import bounds
from gateway.domain.message import Status
from gateway.domain.page import Order, PageRequest
from gateway.domain.principal import Principal
from gateway.domain.thread import NewThread
from gateway.errors import InvalidRequest, NotFound
from gateway.store.store import open_store
from tests.following import begin, grow, text_part
from tests.graphql.serving import statements_of
from tests.make import list_page, new_message
from tests.store.test_projects import OWNER, STRANGERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.principal import Reach


STEPS: dict[str, list[tuple[str, ...]]] = {
    "postgresql": [("UPDATE threads", "INSERT INTO messages")],
    "sqlite": [("UPDATE threads",), ("INSERT INTO messages",)],  # in one hop to the writer's thread
}


APPEND_STEPS: dict[str, list[tuple[str, ...]]] = {
    "postgresql": [("FROM message_deltas", "UPDATE threads", "INSERT INTO message_deltas")],
    "sqlite": [("UPDATE threads",), ("FROM message_deltas",), ("INSERT INTO message_deltas",)],
}


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[Store]:
    """Open a store."""
    store = open_store(database_url)
    yield store
    await store.close()


@pytest.fixture
async def thread_id(one: Store, who: Principal) -> ThreadId:
    """Make a thread that belongs to somebody."""
    return (await threads.create(one, who, NewThread(metadata={}, tool_resources={}, owner=OWNER))).id


async def test_a_message_is_added_in_one_round_trip(
    one: Store, who: Principal, thread_id: ThreadId, database_url: str
) -> None:
    with statements_of(one) as sent:
        await messages.create(one, who, thread_id, new_message())

    expected = STEPS[database_url.partition(":")[0]]
    for statement, words in zip(sent, expected, strict=True):
        assert all(word in statement for word in words)


async def test_the_returned_message_equals_the_stored_one(one: Store, who: Principal, thread_id: ThreadId) -> None:
    made = [await messages.create(one, who, thread_id, new_message(run_id=run)) for run in (None, "run_a")]

    found = await list_page(one, who, thread_id, PageRequest(10, Order.ASC))

    assert list(found.items) == made


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=list(STRANGERS))
async def test_another_principal_adds_nothing(one: Store, who: Principal, thread_id: ThreadId, stranger: Reach) -> None:
    with pytest.raises(NotFound):
        await messages.create(one, Principal(stranger), thread_id, new_message())

    assert (await list_page(one, who, thread_id, PageRequest(10))).items == ()


@pytest.fixture
async def growing(one: Store, who: Principal, thread_id: ThreadId) -> MessageId:
    """Make a message in progress that has grown by one delta."""
    growing = (await begin(one, who, thread_id, text_part("x"))).id
    await grow(one, who, growing, "y")
    return growing


async def test_a_text_is_appended_without_reading_the_message(
    one: Store, who: Principal, growing: MessageId, database_url: str
) -> None:
    with statements_of(one) as sent:
        await streaming.append_text(one, who, growing, "z", is_read=False)

    for statement, words in zip(sent, APPEND_STEPS[database_url.partition(":")[0]], strict=True):
        assert all(word in statement for word in words)
    assert (await messages.get_many(one, who, [growing])).by_id()[growing].text == "xyz"


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=list(STRANGERS))
async def test_another_principal_appends_nothing(
    one: Store, who: Principal, growing: MessageId, stranger: Reach
) -> None:
    with pytest.raises(NotFound):
        await streaming.append_text(one, Principal(stranger), growing, "z", is_read=False)

    assert (await messages.get_many(one, who, [growing])).by_id()[growing].text == "xy"


async def test_a_text_that_makes_a_message_too_long_is_refused_by_the_last_delta(
    one: Store, who: Principal, growing: MessageId
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await streaming.append_text(one, who, growing, "z" * (bounds.TEXT.number - 1), is_read=False)
    await streaming.append_text(one, who, growing, "z" * (bounds.TEXT.number - 2), is_read=False)

    assert refused.value.param == "text"
    assert len((await messages.get_many(one, who, [growing])).by_id()[growing].text) == bounds.TEXT.number


async def test_first_messages_of_different_columns_are_added_in_their_order(one: Store, who: Principal) -> None:
    wanted = [
        new_message("0"),
        replace(new_message("1"), status=Status.IN_PROGRESS),
        new_message("2", run_id="run_1"),
        new_message("3"),
    ]

    made = await threads.create(one, who, NewThread(metadata={}, tool_resources={}, messages=tuple(wanted)))

    found = (await list_page(one, who, made.id, PageRequest(limit=10, order=Order.ASC))).items
    assert [(each.text, each.status, each.run_id) for each in found] == [
        ("0", Status.COMPLETED, None),
        ("1", Status.IN_PROGRESS, None),
        ("2", Status.COMPLETED, "run_1"),
        ("3", Status.COMPLETED, None),
    ]
    assert [each.completed_at is None for each in found] == [False, True, False, False]
