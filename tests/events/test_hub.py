from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.following import PATIENCE_S

if TYPE_CHECKING:
    from gateway.events.hub import Hub

ONE, OTHER = ("p", "thread_1"), ("p", "thread_2")


def test_a_hint_wakes_all_listeners_of_its_topic(hub: Hub) -> None:
    with hub.listen(ONE) as first, hub.listen(ONE) as second:
        hub.wake([ONE])

        assert first.hints
        assert second.hints


def test_a_hint_does_not_wake_listeners_of_another_topic(hub: Hub) -> None:
    with hub.listen(OTHER) as hint:
        hub.wake([ONE])

        assert not hint.hints


def test_the_same_thread_id_in_another_project_is_another_topic(hub: Hub) -> None:
    with hub.listen(("q", ONE[1])) as hint:
        hub.wake([ONE])

        assert not hint.hints


async def test_a_hint_for_a_busy_listener_is_kept(hub: Hub) -> None:
    with hub.listen(ONE) as hint:
        seen = hint.hints
        hub.wake([ONE])
        hub.wake([ONE])

        await asyncio.wait_for(hint.wait(seen), PATIENCE_S)


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
        hub.wake([ONE])

        assert staying.hints


def test_a_hint_without_listeners_keeps_no_state(hub: Hub) -> None:
    hub.wake([ONE])

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
