from __future__ import annotations

import json

import pytest

from gateway.domain import bounds
from gateway.domain.change import Hint
from gateway.events import payload
from gateway.events.payload import MAX_BYTES


def test_many_hints_are_split_into_payloads_that_postgresql_takes() -> None:
    hints = [Hint("project", f"thread_{n}" + "a" * (n % 40), "\U0001f600" * (n % 99) or None, n) for n in range(2_000)]

    payloads = payload.dump(hints)

    sizes = [len(each.encode()) for each in payloads]
    assert max(sizes) <= MAX_BYTES < 8_000
    assert min(sizes[:-1]) > MAX_BYTES - 600  # each is as full as it can be
    assert [hint for each in payloads for hint in payload.load(each)] == hints


def test_the_longest_hint_there_can_be_fits() -> None:
    longest = Hint("p" * 64, f"thread_{'a' * 24}", "\U0001f600" * bounds.OWNER.number, 10**18)

    assert payload.load(*payload.dump([longest])) == [longest]


@pytest.mark.parametrize("size", range(MAX_BYTES - 25, MAX_BYTES - 10))
def test_a_payload_is_full_at_its_last_byte(size: int) -> None:
    payloads = payload.dump([Hint("p", "t" * (size - 20), None, 1), Hint("p", "t", None, 1)])

    assert all(len(each.encode()) <= MAX_BYTES for each in payloads)
    assert sum(len(payload.load(each)) for each in payloads) == 2


def test_no_hints_are_an_empty_payload() -> None:
    assert payload.dump([]) == ["[]"]
    assert payload.load("[]") == []


def test_a_later_version_may_say_more() -> None:
    assert payload.load('[["p","t","alice",7,"more"]]') == [Hint("p", "t", "alice", 7)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p t",
        "7",
        "null",
        "[7]",
        '["t"]',
        '[["p"]]',
        '[["p",1,null,1]]',
        '[["p","t",null,"1"]]',
        '[["p","t",7,1]]',
        b"\xff",
    ],
)
def test_a_payload_of_others_has_no_hints(text: str | bytes) -> None:
    assert payload.load(text) == []


def test_a_payload_is_json() -> None:
    assert json.loads(*payload.dump([Hint("p", "t", "Zoë", 1), Hint("p", "u")])) == [
        ["p", "t", "Zoë", 1],
        ["p", "u", None, None],
    ]
