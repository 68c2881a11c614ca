"""Values out of a stream: what is no JSON, or too long, ends where it is seen."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transfer import cutting
from gateway.transfer.cutting import BrokenError, Cutter, TooLargeError

MEGABYTE = 1024 * 1024


def values(content: bytes, at_most: int | None = None) -> list[bytes]:
    cutter = Cutter(BytesIO(content))
    found = []
    while cutter.next_byte():
        found.append(cutter.value(at_most))
    return found


def test_values_are_cut_where_they_end() -> None:
    assert values(b'{"a": [1, "]"]} , [2]\n"x\\"y" 3.5 null') == [
        b'{"a": [1, "]"]}',
        b"[2]",
        b'"x\\"y"',
        b"3.5",
        b"null",
    ]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"]", id="a bracket that closes nothing"),
        pytest.param(b'{"a": [1}', id="an end in the middle"),
        pytest.param(b'"abc', id="a string that does not end"),
        pytest.param(b":", id="no value"),
        pytest.param(b"1" * (MEGABYTE + 2), id="a number of a megabyte"),
    ],
)
def test_what_is_no_json_is_told(content: bytes) -> None:
    with pytest.raises(BrokenError):
        values(content)


@pytest.mark.parametrize(
    ("content", "behind"),
    [
        pytest.param(b'["' + b"x" * 3 * MEGABYTE + b'"] 1', b"1", id="by a string"),
        pytest.param(b"[" + b"1," * 2 * MEGABYTE + b"1] 1", b"1", id="by many values"),
    ],
)
def test_a_value_that_is_too_long_is_passed_over(content: bytes, behind: bytes) -> None:
    cutter = Cutter(BytesIO(content))

    with pytest.raises(TooLargeError):
        cutter.value(MEGABYTE)

    assert cutter.next_byte() == behind
    assert cutter.value(MEGABYTE) == b"1"


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"1: 2", id="a key that is no string"), pytest.param(b'"a" 2', id="a key without a colon")],
)
def test_what_is_no_member_of_an_object_is_told(content: bytes) -> None:
    with pytest.raises(BrokenError):
        Cutter(BytesIO(content)).key()


NESTED = st.recursive(
    st.none() | st.integers(-9, 9) | st.text('"\\\\[]{},: a\u00e9', max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\\\[,', max_size=3), inner, max_size=4),
)


@given(value=NESTED, block=st.integers(2, 40))
def test_a_value_is_passed_over_to_its_end_wherever_blocks_end(value: Any, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_BLOCK", block)
        cutter = Cutter(BytesIO(orjson.dumps(value) + b', ["behind"]'))

        cutter.pass_over()

        assert cutter.value() == b'["behind"]'


@given(items=st.lists(NESTED, max_size=4), block=st.integers(2, 40))
def test_the_rest_of_an_array_is_passed_over_with_its_bracket(items: list[Any], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_BLOCK", block)
        cutter = Cutter(BytesIO(orjson.dumps(items) + b', ["behind"]'))
        cutter.next_byte()
        cutter.enter()

        cutter.pass_over_rest()

        assert cutter.value() == b'["behind"]'


@pytest.mark.parametrize("content", [b"[[1, 2]", b'{"a": "', b'"\\', b"]"])
def test_a_value_that_does_not_end_cannot_be_passed_over(content: bytes) -> None:
    with pytest.raises(BrokenError):
        Cutter(BytesIO(content)).pass_over()


def test_a_value_of_too_many_values_is_refused_before_its_end_is_read() -> None:
    stream = BytesIO(b"[" + b"[]," * 3 * MEGABYTE + b"1] 2")
    cutter = Cutter(stream)
    cutter.next_byte()

    with pytest.raises(TooLargeError) as refused:
        cutter.value(64 * MEGABYTE, 1_000)

    assert (refused.value.bound.name, refused.value.begin) == ("line_values", b"[" + b"[]," * 999 + b"[")
    assert cutter.value() == b"2"
