from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.events.hub import Hub

ONE, OTHER = ("p", "thread_1"), ("p", "thread_2")


def test_a_hint_reaches_all_who_listen_to_its_topic(hub: Hub) -> None:
    with hub.listen(ONE) as first, hub.listen(ONE) as second:
        hub.wake([ONE])

        assert first.is_set()
        assert second.is_set()


def test_a_hint_does_not_reach_who_listens_to_something_else(hub: Hub) -> None:
    with hub.listen(OTHER) as hint:
        hub.wake([ONE])

        assert not hint.is_set()


def test_the_same_thread_id_in_another_project_is_another_topic(hub: Hub) -> None:
    with hub.listen(("q", ONE[1])) as hint:
        hub.wake([ONE])

        assert not hint.is_set()


def test_a_hint_that_comes_while_one_is_busy_is_kept(hub: Hub) -> None:
    with hub.listen(ONE) as hint:
        hint.clear()
        hub.wake([ONE])
        hub.wake([ONE])

        assert hint.is_set()


def test_waking_all_reaches_every_topic(hub: Hub) -> None:
    with hub.listen(ONE) as first, hub.listen(OTHER) as second:
        hub.wake_all()

        assert first.is_set()
        assert second.is_set()


def test_who_left_is_forgotten(hub: Hub) -> None:
    with hub.listen(ONE):
        assert hub.topics() == [ONE]

    assert hub.topics() == []


def test_one_who_leaves_takes_nobody_along(hub: Hub) -> None:
    with hub.listen(ONE) as staying:
        with hub.listen(ONE):
            pass
        hub.wake([ONE])

        assert staying.is_set()


def test_a_hint_that_nobody_waits_for_leaves_nothing(hub: Hub) -> None:
    hub.wake([ONE])

    assert hub.topics() == []


def test_at_the_end_all_who_stay_are_asked_to_leave_once(hub: Hub) -> None:
    asked: list[str] = []
    with hub.on_shutdown(lambda: asked.append("first")), hub.on_shutdown(lambda: asked.append("second")):
        hub.end()
        hub.end()

    assert sorted(asked) == ["first", "second"]


def test_who_left_is_not_asked_to_leave(hub: Hub) -> None:
    asked: list[str] = []
    with hub.on_shutdown(lambda: asked.append("left")):
        pass

    hub.end()

    assert asked == []


def test_who_comes_after_the_end_is_asked_to_leave_at_once(hub: Hub) -> None:
    asked: list[str] = []
    hub.end()

    with hub.on_shutdown(lambda: asked.append("late")):
        assert asked == ["late"]
