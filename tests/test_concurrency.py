from __future__ import annotations

import asyncio

import pytest

from gateway.concurrency import Event, Inbox


async def test_all_waiters_of_an_event_continue_once_it_is_set() -> None:
    event = Event()
    waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
    await asyncio.sleep(0)

    event.set()

    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    assert event.is_set()


async def test_wait_returns_at_once_only_while_the_event_is_set() -> None:
    event = Event(is_set=True)
    await event.wait()

    event.clear()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(event.wait(), 0.01)


async def test_a_cancelled_waiter_does_not_cancel_others() -> None:
    event = Event()
    patient, impatient = asyncio.create_task(event.wait()), asyncio.create_task(event.wait())
    await asyncio.sleep(0)

    impatient.cancel()
    await asyncio.wait({impatient})
    event.set()

    await asyncio.wait_for(patient, 1)
    assert impatient.cancelled()


async def test_an_event_that_is_set_and_cleared_at_once_releases_all_waiters() -> None:
    event = Event()
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)

    event.set()
    event.clear()

    await asyncio.wait_for(waiting, 1)


async def test_items_are_received_in_the_order_of_their_arrival() -> None:
    inbox = Inbox[str]()
    inbox.put_nowait("a")
    inbox.put_nowait("b")

    taken = [await inbox.get(), await inbox.get()]

    assert taken == ["a", "b"]
    assert inbox.empty()


async def test_a_receiver_waits_for_the_next_item() -> None:
    inbox = Inbox[str]()
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)

    inbox.put_nowait("a")

    assert await asyncio.wait_for(taking, 1) == "a"


async def test_no_item_is_lost_when_a_receiver_is_cancelled_as_it_arrives() -> None:
    inbox = Inbox[str]()
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait("a")

    taking.cancel()
    await asyncio.wait({taking})

    assert await inbox.get() == "a"
