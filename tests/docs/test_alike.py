"""What counts as the output that a page shows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.docs.alike import is_alike, last_json, pattern_of


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        pytest.param({"id": "thread_abc"}, {"id": "thread_0aZ"}, id="an id"),
        pytest.param({"created_at": 1_787_000_000}, {"created_at": 1_795_895_019}, id="a time in seconds"),
        pytest.param("2026-08-26T09:30:00Z", "2026-11-28T20:03:32Z", id="a time"),
        pytest.param({"token": "..."}, {"token": "eyJ"}, id="an elision"),
        pytest.param([None, True, 2], [None, True, 2], id="values"),
    ],
)
def test_random_values_are_alike(shown: Any, printed: Any) -> None:
    assert is_alike(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        pytest.param({"id": "thread_abc"}, {"id": "msg_abc"}, id="another kind of id"),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="another order of keys"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, id="a key more"),
        pytest.param([1], [1, 1], id="an item more"),
        pytest.param({"limit": 20}, {"limit": 21}, id="another number"),
        pytest.param({"limit": 1}, {"limit": True}, id="another type"),
        pytest.param("ready", "not ready", id="another text"),
    ],
)
def test_different_values_are_not_equal(shown: Any, printed: Any) -> None:
    assert not is_alike(shown, printed)


def test_a_printed_text_is_compared_whole() -> None:
    assert pattern_of("user: Hello").fullmatch("user: Hello\nmore") is None


def test_the_last_of_several_json_outputs_is_used() -> None:
    assert last_json('{"a": 1}{"b": 2}\n') == {"b": 2}
