from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.domain.change import Hint
from tests.following import PATIENCE_S

if TYPE_CHECKING:
    from gateway.events.hub import Hub

ONE, OTHER = ("p", "thread_1"), ("p", "thread_2")


def test_a_hint_wakes_all_listeners_of_its_topic(hub: Hub) -> None:
    with hub.listen(ONE) as first, hub.listen(ONE) as second:
        hub.wake([Hint(*ONE)])

        assert first.hints
        assert second.hints


def test_a_hint_does_not_wake_listeners_of_another_topic(hub: Hub) -> None:
    with hub.listen(OTHER) as hint:
        hub.wake([Hint(*ONE)])

        assert not hint.hints


def test_the_same_thread_id_in_another_project_is_another_topic(hub: Hub) -> None:
    with hub.listen(("q", ONE[1])) as hint:
        hub.wake([Hint(*ONE)])

        assert not hint.hints


async def test_a_hint_for_a_busy_listener_is_kept(hub: Hub) -> None:
    with hub.listen(ONE) as hint:
        seen = hint.hints
        hub.wake([Hint(*ONE)])
        hub.wake([Hint(*ONE)])

        await asyncio.wait_for(hint.wait(seen), PATIENCE_S)


def test_a_hint_of_what_is_known_wakes_nobody(hub: Hub) -> None:
    with hub.listen(ONE, 3) as hint:
        for position, woken in ((3, 0), (5, 1), (4, 1), (5, 1), (6, 2), (None, 3), (6, 3)):
            hub.wake([Hint(*ONE, None, position)])

            assert hint.hints == woken


async def test_a_listener_that_has_read_what_a_hint_is_of_waits_on(hub: Hub) -> None:
    with hub.listen(ONE) as hint:
        hub.wake([Hint(*ONE, None, 7)])
        waiting = [asyncio.create_task(hint.wait(0, position)) for position in (6, 7)]
        await asyncio.sleep(0)

        assert [each.done() for each in waiting] == [True, False]
        hub.wake([Hint(*ONE, None, 8)])
        await asyncio.wait_for(waiting[1], PATIENCE_S)


async def test_a_hint_that_says_no_position_wakes_everybody(hub: Hub) -> None:
    with hub.listen(ONE) as hint:
        hub.wake([Hint(*ONE, None, 7), Hint(*ONE)])

        await asyncio.wait_for(hint.wait(0, 7), PATIENCE_S)


async def test_a_sweep_wakes_where_the_position_is_another_than_the_known_one(hub: Hub) -> None:
    with hub.listen(ONE, 3) as hint, hub.listen(OTHER, 3) as other:
        for position, woken in ((3, 0), (5, 1), (5, 1), (4, 2), (None, 3), (None, 3), (9, 4)):
            hub.compare({ONE: position, OTHER: 3})

            assert hint.hints == woken
            await asyncio.wait_for(hint.wait(woken - 1, 99), PATIENCE_S)
        hub.compare({("p", "nobody's"): 1})

        assert other.hints == 0
        hub.wake([Hint(*ONE, None, 9)])
        assert hint.hints == 4


def test_wake_all_wakes_every_topic(hub: Hub) -> None:
    with hub.listen(ONE) as first, hub.listen(OTHER) as second:
        hub.wake_all()

        assert first.hints
        assert second.hints


def test_a_listener_is_removed_at_its_end(hub: Hub) -> None:
    with hub.listen(ONE):
        assert hub.topics() == [ONE]

    assert hub.topics() == []


def test_removing_a_listener_keeps_the_others(hub: Hub) -> None:
    with hub.listen(ONE) as staying:
        with hub.listen(ONE):
            pass
        hub.wake([Hint(*ONE)])

        assert staying.hints


def test_a_hint_without_listeners_keeps_no_state(hub: Hub) -> None:
    hub.wake([Hint(*ONE)])

    assert hub.topics() == []


def test_shutdown_calls_every_callback_once(hub: Hub) -> None:
    asked: list[str] = []
    with hub.on_shutdown(lambda: asked.append("first")), hub.on_shutdown(lambda: asked.append("second")):
        hub.end()
        hub.end()

    assert sorted(asked) == ["first", "second"]


def test_shutdown_does_not_call_removed_callbacks(hub: Hub) -> None:
    asked: list[str] = []
    with hub.on_shutdown(lambda: asked.append("left")):
        pass

    hub.end()

    assert asked == []


def test_a_callback_registered_after_shutdown_is_called_at_once(hub: Hub) -> None:
    asked: list[str] = []
    hub.end()

    with hub.on_shutdown(lambda: asked.append("late")):
        assert asked == ["late"]
