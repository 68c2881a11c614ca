"""JSON is counted before it is read: exactly, whatever stands inside of strings, and soon."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import bounds
from gateway.domain.read_json import read_json
from gateway.errors import InvalidRequest
from tests.bombs import json_bombs
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES, LEVELS, STRING = (each.number for each in (bounds.JSON_VALUES, bounds.JSON_DEPTH, bounds.JSON_STRING))
REFUSAL_S = patience(0.1)
CODES = {"too_many_values", "too_deep", "invalid_json", "number_too_large", "string_above_max_length"}
TRIES = 5  # a busy machine is slow for a moment
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.text('"\\[]{},: a\u00e9\U0001f600\n', max_size=9)
NESTED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\[,', max_size=3), inner, max_size=4)
)


def count(value: object) -> tuple[int, int]:
    """Count the values and the levels of what was read."""
    inner = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        return 1, 0
    found = [count(each) for each in inner]
    return 1 + sum(values for values, _ in found), 1 + max((levels for _, levels in found), default=0)


def code_of(text: bytes | str, values: int = VALUES, depth: int = LEVELS) -> str | None:
    with pytest.raises(InvalidRequest) as refused:
        read_json(text, values=values, depth=depth, string=STRING)
    return refused.value.code


@given(value=NESTED, indent=st.booleans(), is_text=st.booleans())
def test_values_and_levels_are_counted_exactly(value: Any, indent: bool, is_text: bool) -> None:  # noqa: FBT001
    written = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0)
    text = written.decode() if is_text else written
    values, levels = count(value)

    assert read_json(text, values=values, depth=levels) == value
    if len(text) > max(values, 2 * levels):  # of a shorter one nobody needs to count
        assert values == 1 or code_of(text, values=values - 1, depth=levels) == "too_many_values"
    assert levels == 0 or code_of(text, values=values, depth=levels - 1) == "too_deep"


@pytest.mark.parametrize(
    ("make", "most", "code"),
    [
        pytest.param(lambda n: b"[" + b",".join([b"1"] * (n - 1)) + b"]", VALUES, "too_many_values", id="numbers"),
        pytest.param(lambda n: b"[" + b",".join([b"[ ]"] * (n - 1)) + b"]", VALUES, "too_many_values", id="lists"),
        pytest.param(lambda n: b"[" + b",".join([b'"a,["'] * (n - 1)) + b"]", VALUES, "too_many_values", id="texts"),
        pytest.param(
            lambda n: orjson.dumps(dict.fromkeys(map(str, range(n - 1)))), VALUES, "too_many_values", id="keys"
        ),
        pytest.param(lambda n: b'["' + b"x" * n + b'","a"]', STRING, "string_above_max_length", id="a long string"),
        pytest.param(lambda n: b"[" * n + b"]" * n, LEVELS, "too_deep", id="levels of lists"),
        pytest.param(lambda n: b'{"a":' * n + b"1" + b"}" * n, LEVELS, "too_deep", id="levels of objects"),
    ],
)
def test_the_limit_of_json_values_is_exact(make: Callable[[int], bytes], most: int, code: str) -> None:
    assert read_json(make(most), string=STRING) == orjson.loads(make(most))
    assert code_of(make(most + 1)) == code
    assert code_of(make(most + 1).decode()) == code


@pytest.mark.parametrize("text", ['"[[', "\\", '\\"', '\\\\"[', "[" * 200, '{"' * 70_000, "\\" * 7])
def test_brackets_inside_strings_do_not_count(text: str) -> None:
    value = {"content": text, text: [text, {"a": text}]}

    assert read_json(orjson.dumps(value)) == value


def strings_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(each for member in value.values() for each in strings_in(member))]
    if isinstance(value, list):
        return [each for member in value for each in strings_in(member)]
    return [value] if isinstance(value, str) else []


def memory_of(value: Any) -> int:
    """Compute what strings take in memory as the table of bounds defines it."""
    widest = [(text, max(map(ord, text), default=0)) for text in strings_in(value)]
    return sum(50 + len(text) * (4 if top > 0xFFFF else 2 if top > 0xFF else 1) for text, top in widest)


@given(value=NESTED)
def test_the_memory_of_strings_is_counted_exactly(value: Any) -> None:
    text, memory = orjson.dumps({"字": value}), memory_of({"字": value})

    long = text + b" " * (VALUES + memory)  # a short text is not counted

    assert read_json(long, memory=memory) == orjson.loads(text)
    with pytest.raises(InvalidRequest, match="too much memory"):
        read_json(long, memory=memory - 1)


@given(value=NESTED)
def test_escaped_characters_count_at_least_the_memory_that_they_take(value: Any) -> None:
    text, memory = json.dumps({"字": value}).encode(), memory_of({"字": value})

    with pytest.raises(InvalidRequest, match="too much memory"):
        read_json(text + b" " * (VALUES + memory), memory=memory - 1)


ORDINARY = {
    "Chinese": "漢字" * 500,
    "emoji": "\U0001f600" * 1_000,
    "English with curly quotation marks": "It\u2019s " * 400,
    "French": "à l\u2019été " * 200,
}


@pytest.mark.parametrize("is_escaped", [False, True], ids=["as UTF-8", "escaped"])
@pytest.mark.parametrize("text", ORDINARY.values(), ids=ORDINARY)
def test_a_full_body_of_ordinary_text_is_accepted(text: str, *, is_escaped: bool) -> None:
    written = json.dumps(text, ensure_ascii=is_escaped).encode()
    count = bounds.BODY.number // (len(written) + 1) - 1

    assert read_json(b"[" + b",".join([written] * count) + b"]") == [text] * count


def test_a_body_that_is_refused_costs_little() -> None:
    bombs = json_bombs(bounds.BODY.number)
    codes = {name: code_of(body) for name, body in bombs.items()}

    assert [name for name, body in bombs.items() if not any(is_quick(body) for _ in range(TRIES))] == []
    assert set(codes.values()) <= CODES, codes


def is_quick(body: bytes) -> bool:
    began = time.process_time()
    code_of(body)
    return time.process_time() - began < REFUSAL_S
