from __future__ import annotations

import itertools
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.domain import archive
from gateway.domain.direction import Direction
from gateway.domain.message import Message
from gateway.domain.thread import Thread
from gateway.store import staging as module
from gateway.store.staging import Staging
from tests.exports import a_message, a_thread

if TYPE_CHECKING:
    from collections.abc import Iterator


RISING: Final = Direction.RISING
FALLING: Final = Direction.FALLING


@pytest.fixture
def staging() -> Iterator[Staging]:
    with Staging() as opened:
        yield opened


def add(
    staging: Staging, *lists: list[dict[str, Any]], fallback: Direction = RISING, is_explicit: bool = False
) -> None:
    """Add lists, each of a file of its own, and make them ready."""
    for file, values in enumerate(lists):
        number = staging.begin_list(file, fallback, is_explicit=is_explicit)
        for line, value in enumerate(values):
            found = archive.read(value)
            if isinstance(found, Thread):
                staging.add_thread(found)
            elif isinstance(found, Message):
                staging.add_message(number, "file", f"line {line}", found)
    staging.finish()


def ids(staging: Staging, thread_id: str = "thread_a") -> list[str]:
    return [each.message.id.removeprefix("msg_") for batch in staging.messages(thread_id) for each in batch]


def threads(staging: Staging) -> list[str]:
    return [thread.id.removeprefix("thread_") for thread, _ in staging.threads()]


@pytest.mark.parametrize(
    ("times", "order"),
    [
        pytest.param([1, 2, 3], [0, 1, 2], id="rising"),
        pytest.param([3, 2, 1], [2, 1, 0], id="falling"),
        pytest.param([5, 5, 5], [0, 1, 2], id="one second tells nothing, so as read"),
        pytest.param([1, 1, 2, 2], [0, 1, 2, 3], id="rising with ties"),
        pytest.param([2, 2, 1, 1], [3, 2, 1, 0], id="falling with ties"),
        pytest.param([5, 4, 6], [0, 1, 2], id="rising with a step back"),
        pytest.param([6, 4, 5], [2, 1, 0], id="falling with a step back"),
        pytest.param([2, 900, 1, 900, 500, 2], [2, 0, 5, 4, 1, 3], id="no order, so by time"),
        pytest.param([4], [0], id="one"),
        pytest.param([], [], id="none"),
    ],
)
def test_messages_are_oldest_first_and_ties_in_order_of_creation(
    staging: Staging, times: list[int], order: list[int]
) -> None:
    add(staging, [a_message(f"msg_{number}", created_at=time) for number, time in enumerate(times)])

    assert ids(staging) == [str(number) for number in order]


def of(*numbers: int) -> list[dict[str, Any]]:
    """Make messages of which two share a second."""
    return [a_message(f"msg_{n}", created_at=n // 2) for n in numbers]


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param([of(2, 3, 4, 5), of(9, 8, 7, 6)], id="one way and the other"),
        pytest.param([of(5, 4, 3, 2), of(9, 8, 7, 6)], id="each newest first, the older first"),
        pytest.param([of(9, 8, 7, 6), of(5, 4, 3, 2)], id="each newest first, the newer first"),
        pytest.param([of(9, 8, 7, 6), of(7, 6, 5, 4, 3, 2)], id="pages that overlap"),
        pytest.param([of(9, 8, 7), of(6, 5, 4, 3, 2)], id="pages that share a second"),
        pytest.param([of(6, 5, 4, 3, 2), of(9, 8, 7)], id="the same, the older first"),
        pytest.param([of(2, 3, 4, 5), of(6, 7), of(8, 9)], id="lists of one second beside one that tells"),
        pytest.param([of(5, 4, 3, 2), of(7, 6), of(9, 8)], id="the same, newest first"),
        pytest.param([of(2, 3, 4, 5, 6, 7, 8, 9), of(9, 8, 7, 6, 5, 4, 3, 2)], id="all of it both ways"),
    ],
)
def test_each_list_has_its_own_direction(staging: Staging, lists: list[list[dict[str, Any]]]) -> None:
    add(staging, *lists)

    assert ids(staging) == list("23456789")


def test_the_fallback_applies_to_a_list_without_a_direction(staging: Staging) -> None:
    add(staging, [a_message(f"msg_{n}") for n in (3, 2, 1)], fallback=FALLING, is_explicit=True)

    assert ids(staging) == ["1", "2", "3"]


def test_an_explicit_order_takes_precedence_over_times(staging: Staging) -> None:
    staging.set_order("thread_a", RISING)
    add(staging, [a_message(f"msg_{n}", created_at=9 - n) for n in range(3)])

    assert ids(staging) == ["0", "1", "2"]


def test_each_thread_is_reversed_independently(staging: Staging) -> None:
    rising = [a_message(f"msg_up{n}", "thread_up", created_at=n // 2) for n in range(4)]
    falling = [a_message(f"msg_down{n}", "thread_down", created_at=4 - n // 2) for n in range(4)]
    add(staging, [*itertools.chain(*zip(rising, falling, strict=True))])

    assert (ids(staging, "thread_up"), ids(staging, "thread_down")) == (
        ["up0", "up1", "up2", "up3"],
        ["down3", "down2", "down1", "down0"],
    )


def test_threads_keep_the_order_of_reading(staging: Staging) -> None:
    add(staging, [a_thread("thread_z", created_at=5), a_thread("thread_a", created_at=9), a_thread("thread_m")])

    assert threads(staging) == ["z", "a", "m"]


def test_a_thread_is_inferred_for_messages_without_one(staging: Staging) -> None:
    add(staging, [a_message("msg_1", "thread_x", created_at=9), a_message("msg_2", "thread_x", created_at=4)])

    assert [(thread.id, thread.created_at, thread.metadata, has_line) for thread, has_line in staging.threads()] == [
        ("thread_x", 4, {}, False)
    ]


def test_no_thread_is_inferred_when_its_line_follows_its_messages(staging: Staging) -> None:
    add(staging, [a_message(thread_id="thread_x"), a_thread("thread_x", metadata={"k": "v"})])

    assert [thread.metadata for thread, _ in staging.threads()] == [{"k": "v"}]


def test_inferred_threads_follow_those_that_were_read(staging: Staging) -> None:
    add(staging, [a_message(thread_id="thread_first"), a_thread("thread_then")])

    assert threads(staging) == ["then", "first"]


def test_the_first_of_two_threads_with_one_id_is_used(staging: Staging) -> None:
    add(staging, [a_thread(metadata={"n": "1"}), a_thread(metadata={"n": "2"})])

    assert [thread.metadata for thread, _ in staging.threads()] == [{"n": "1"}]


def test_a_staged_message_is_unchanged(staging: Staging) -> None:
    facts = {"run_id": "run_1", "assistant_id": "asst_1", "role": "assistant", "metadata": {"k": "🙂"}}
    message = archive.read(
        a_message(**facts, status="incomplete", incomplete_details={"reason": "run_failed"}, incomplete_at=3)
    )
    assert isinstance(message, Message)
    staging.add_message(staging.begin_list(0, RISING, is_explicit=False), "file", "line 1", message)
    staging.finish()

    [[staged]] = staging.messages("thread_a")

    assert (staged.source, staged.place, staged.message) == ("file", "line 1", message)


def test_messages_of_a_long_thread_are_read_in_batches(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 4)
    add(staging, [a_message(f"msg_{number}", created_at=number) for number in range(10)])

    assert [len(batch) for batch in staging.messages("thread_a")] == [4, 4, 2]


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_no_temporary_file_remains(ends: str) -> None:
    def folders() -> set[Path]:
        return set(Path(gettempdir()).glob("gateway-import-*"))

    before = folders()

    def work() -> None:
        with Staging() as staging:
            add(staging, [a_thread()])
            assert folders() - before
            if ends == "badly":
                raise RuntimeError

    if ends == "badly":
        with pytest.raises(RuntimeError):
            work()
    else:
        work()

    assert not folders() - before
