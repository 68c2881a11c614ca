from __future__ import annotations

import asyncio
import weakref
from itertools import pairwise

import pytest

from gateway.concurrency import WOKEN_AT_ONCE, Event, Inbox, Loader, SharedCalls, WaitingLine
from gateway.domain.ids import ThreadId
from gateway.events.hub import Hub
from tests.pace import patience


async def test_all_waiters_of_an_event_continue_once_it_is_set() -> None:
    event = Event()
    waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
    await asyncio.sleep(0)

    event.set()

    await asyncio.wait_for(asyncio.gather(*waiting), patience(1))
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

    await asyncio.wait_for(patient, patience(1))
    assert impatient.cancelled()


async def test_an_event_that_is_set_and_cleared_at_once_releases_all_waiters() -> None:
    event = Event()
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)

    event.set()
    event.clear()

    await asyncio.wait_for(waiting, patience(1))


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

    assert await asyncio.wait_for(taking, patience(1)) == "a"


async def test_no_item_is_lost_when_a_receiver_is_cancelled_as_it_arrives() -> None:
    inbox = Inbox[str]()
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait("a")

    taking.cancel()
    await asyncio.wait({taking})

    assert await inbox.get() == "a"


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_what_is_given_to_a_line_goes_to_those_who_wait_in_the_order_of_their_arrival() -> None:
    line = WaitingLine[str]()
    waiting = [line.join(_in(60)) for _ in range(2)]

    taken = [line.give(each) for each in ("a", "b", "c")]

    assert [each.result() for each in waiting] == ["a", "b"]
    assert taken == [True, True, False]


async def test_who_stops_waiting_in_a_line_is_passed_over() -> None:
    line = WaitingLine[str]()
    impatient, patient = line.join(_in(60)), line.join(_in(60))
    impatient.cancel()

    line.give("a")

    assert await patient == "a"


@pytest.mark.parametrize("first_s", [0.0, 60.0])
async def test_each_waits_in_a_line_until_its_own_time(first_s: float) -> None:
    line = WaitingLine[str]()
    waiting = [line.join(_in(each)) for each in (first_s, 0.0, 60.0)]
    over = [each for each, until_s in zip(waiting, (first_s, 0.0, 60.0), strict=True) if not until_s]

    done, _ = await asyncio.wait(over, timeout=patience(10))

    assert done == set(over)
    assert all(isinstance(each.exception(), TimeoutError) for each in over)
    assert not waiting[-1].done()
    assert line.give("a")


async def test_who_joins_a_line_after_a_time_out_has_a_time_out_too() -> None:
    line = WaitingLine[str]()
    with pytest.raises(TimeoutError):
        await line.join(_in(0))

    done, _ = await asyncio.wait([line.join(_in(0))], timeout=patience(10))

    assert done


async def test_those_who_still_wait_at_a_time_out_have_their_own_later() -> None:
    line = WaitingLine[str]()
    first, second = line.join(_in(0)), line.join(_in(0.001))

    done, _ = await asyncio.wait([first, second], timeout=patience(10))

    assert done == {first, second}


async def test_a_line_keeps_nobody_who_has_left_it_at_a_time_out() -> None:
    line = WaitingLine[str]()
    left = line.join(_in(60))
    left.cancel()
    kept = weakref.ref(left)
    del left

    with pytest.raises(TimeoutError):
        await line.join(_in(0))

    assert kept() is None


class Source:
    """Answers calls once it may, and counts them."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_answer = asyncio.Event()

    async def call(self) -> int:
        self.calls += 1
        own = self.calls
        await self.may_answer.wait()
        return own

    async def asked(self, shared: SharedCalls[int], *keys: str) -> list[asyncio.Task[int]]:
        tasks = [asyncio.create_task(shared.get(key, self.call)) for key in keys]
        await asyncio.sleep(0)
        return tasks


async def test_those_who_ask_for_the_same_at_once_share_one_call() -> None:
    shared, source = SharedCalls[int](), Source()
    asked = await source.asked(shared, "a", "a", "b")

    source.may_answer.set()

    assert await asyncio.gather(*asked) == [1, 1, 2]


@pytest.mark.parametrize(("keeps", "calls"), [(1, 1), (0, 2)])
async def test_a_result_is_there_later_only_where_it_is_kept(keeps: int, calls: int) -> None:
    shared, source = SharedCalls[int](keeps=keeps), Source()
    source.may_answer.set()

    found = [await shared.get("a", source.call) for _ in range(2)]

    assert found == [1, calls]


async def test_a_call_that_is_cancelled_is_made_again_by_the_next() -> None:
    shared, source = SharedCalls[int](keeps=1), Source()
    first, *others = await source.asked(shared, "a", "a", "a")

    first.cancel()
    await asyncio.wait([first])
    source.may_answer.set()

    assert await asyncio.gather(*others) == [2, 2]


async def test_who_stops_waiting_for_a_call_ends_it_for_nobody() -> None:
    shared, source = SharedCalls[int](), Source()
    first, impatient, patient = await source.asked(shared, "a", "a", "a")

    impatient.cancel()
    await asyncio.wait([impatient])
    source.may_answer.set()

    assert [await first, await patient] == [1, 1]


async def test_an_error_of_a_call_is_that_of_all_and_is_not_kept() -> None:
    shared, may_fail = SharedCalls[int](keeps=1), asyncio.Event()

    async def fail() -> int:
        await may_fail.wait()
        raise ZeroDivisionError

    asked = [asyncio.create_task(shared.get("a", fail)) for _ in range(3)]
    await asyncio.sleep(0)
    may_fail.set()

    assert [type(each) for each in await asyncio.gather(*asked, return_exceptions=True)] == [ZeroDivisionError] * 3
    source = Source()
    source.may_answer.set()
    assert await shared.get("a", source.call) == 1


async def test_a_call_that_was_cleared_is_joined_by_nobody_else() -> None:
    shared, source = SharedCalls[int](), Source()
    before = await source.asked(shared, "a", "a")

    shared.clear()
    after = await source.asked(shared, "a", "a")
    source.may_answer.set()

    assert await asyncio.gather(*before, *after) == [1, 1, 2, 2]


class Shelf:
    """Writes down which keys are loaded together; it has all but `nothing`."""

    def __init__(self) -> None:
        self.loaded: list[list[str]] = []

    async def load(self, keys: list[str]) -> dict[str, str]:
        self.loaded.append(keys)
        return {key: key.upper() for key in keys if key != "nothing"}


async def test_keys_that_tasks_ask_for_side_by_side_are_loaded_together_and_each_once() -> None:
    shelf = Shelf()
    loader = Loader(shelf.load, 3)

    found = await asyncio.gather(*map(loader.load, ["a", "nothing", "a", "b", "c"]))

    assert found == ["A", None, "A", "B", "C"]
    assert shelf.loaded == [["a", "nothing", "b"], ["c"]]


async def test_keys_that_were_asked_for_by_a_cancelled_task_are_loaded_for_the_others() -> None:
    shelf = Shelf()
    loader = Loader(shelf.load, 3)
    first, second = (asyncio.create_task(loader.load(key)) for key in ("a", "b"))
    await asyncio.sleep(0)

    first.cancel()

    assert await asyncio.wait_for(second, patience(1)) == "B"
    assert shelf.loaded == [["a", "b"]]


async def test_a_task_that_is_alone_waits_for_no_other() -> None:
    shelf = Shelf()
    loader = Loader(shelf.load, 3, asyncio.current_task())

    loading = loader.load("a")

    with pytest.raises(StopIteration, match="A"):
        loading.send(None)
    assert [await loader.load("b"), shelf.loaded] == ["B", [["a"], ["b"]]]


@pytest.mark.parametrize("way", ["a hint", "a shared call"])
async def test_others_run_between_thousands_of_tasks_that_are_woken_at_once(way: str) -> None:
    hub, calls, waits = Hub(), SharedCalls[object](), asyncio.Event()
    woken: list[int] = []

    async def listen(number: int) -> None:
        if way == "a hint":
            with hub.listen(("default", ThreadId("thread_a"))) as audience:
                await audience.wait(audience.hints)
        else:
            await calls.get("read", waits.wait)
        woken.append(number)

    listening = [asyncio.create_task(listen(number)) for number in range(1_000)]
    await asyncio.sleep(0)
    waits.set()
    hub.wake_all()
    counts = [0]
    while len(woken) < len(listening):
        await asyncio.sleep(0)
        counts.append(len(woken))

    of_a_turn = max(later - earlier for earlier, later in pairwise(counts))
    assert of_a_turn <= WOKEN_AT_ONCE + 1  # and the one that made the call
