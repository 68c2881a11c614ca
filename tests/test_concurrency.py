from __future__ import annotations

import asyncio

import pytest

from gateway.concurrency import Event, Inbox


async def test_all_who_wait_for_an_event_go_on_once_it_is_set() -> None:
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


async def test_who_gives_up_waiting_takes_nobody_with_it() -> None:
    event = Event()
    patient, impatient = asyncio.create_task(event.wait()), asyncio.create_task(event.wait())
    await asyncio.sleep(0)

    impatient.cancel()
    await asyncio.wait({impatient})
    event.set()

    await asyncio.wait_for(patient, 1)
    assert impatient.cancelled()


async def test_an_event_that_is_set_and_cleared_at_once_lets_go_all_who_have_waited() -> None:
    event = Event()
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)

    event.set()
    event.clear()

    await asyncio.wait_for(waiting, 1)


async def test_what_comes_is_taken_in_the_order_of_its_coming() -> None:
    inbox = Inbox[str]()
    inbox.put_nowait("a")
    inbox.put_nowait("b")

    taken = [await inbox.get(), await inbox.get()]

    assert taken == ["a", "b"]
    assert inbox.empty()


async def test_who_takes_waits_for_what_comes() -> None:
    inbox = Inbox[str]()
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)

    inbox.put_nowait("a")

    assert await asyncio.wait_for(taking, 1) == "a"


async def test_nothing_is_lost_when_who_takes_gives_up_as_it_comes() -> None:
    inbox = Inbox[str]()
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait("a")

    taking.cancel()
    await asyncio.wait({taking})

    assert await inbox.get() == "a"
