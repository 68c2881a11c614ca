"""Values out of a stream: what is no JSON, or too long, ends where it is seen."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transfer import json_splitter
from gateway.transfer.json_splitter import InvalidJsonError, JsonSplitter, TooLargeError

MEGABYTE = 1024 * 1024


def values(content: bytes, at_most: int | None = None) -> list[bytes]:
    splitter = JsonSplitter(BytesIO(content))
    found = []
    while splitter.next_byte():
        found.append(splitter.value(at_most))
    return found


def test_splitter_yields_each_value() -> None:
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
def test_invalid_json_raises(content: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        values(content)


@pytest.mark.parametrize(
    ("content", "behind"),
    [
        pytest.param(b'["' + b"x" * 3 * MEGABYTE + b'"] 1', b"1", id="by a string"),
        pytest.param(b"[" + b"1," * 2 * MEGABYTE + b"1] 1", b"1", id="by many values"),
    ],
)
def test_a_value_that_is_too_long_is_skipped(content: bytes, behind: bytes) -> None:
    splitter = JsonSplitter(BytesIO(content))

    with pytest.raises(TooLargeError):
        splitter.value(MEGABYTE)

    assert splitter.next_byte() == behind
    assert splitter.value(MEGABYTE) == b"1"


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"1: 2", id="a key that is no string"), pytest.param(b'"a" 2', id="a key without a colon")],
)
def test_invalid_object_members_raise(content: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        JsonSplitter(BytesIO(content)).key()


NESTED = st.recursive(
    st.none() | st.integers(-9, 9) | st.text('"\\\\[]{},: a\u00e9', max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\\\[,', max_size=3), inner, max_size=4),
)


@given(value=NESTED, block=st.integers(2, 40))
def test_a_skipped_value_can_end_in_any_block(value: Any, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_splitter, "_BLOCK", block)
        splitter = JsonSplitter(BytesIO(orjson.dumps(value) + b', ["behind"]'))

        splitter.skip()

        assert splitter.value() == b'["behind"]'


@given(items=st.lists(NESTED, max_size=4), block=st.integers(2, 40))
def test_skipping_the_rest_of_an_array_includes_its_bracket(items: list[Any], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_splitter, "_BLOCK", block)
        splitter = JsonSplitter(BytesIO(orjson.dumps(items) + b', ["behind"]'))
        splitter.next_byte()
        splitter.enter()

        splitter.skip_rest()

        assert splitter.value() == b'["behind"]'


@pytest.mark.parametrize("content", [b"[[1, 2]", b'{"a": "', b'"\\', b"]"])
def test_an_unterminated_value_cannot_be_skipped(content: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        JsonSplitter(BytesIO(content)).skip()


def test_json_of_too_many_values_is_refused_before_its_end_is_read() -> None:
    stream = BytesIO(b"[" + b"[]," * 3 * MEGABYTE + b"1] 2")
    splitter = JsonSplitter(stream)
    splitter.next_byte()

    with pytest.raises(TooLargeError) as refused:
        splitter.value(64 * MEGABYTE, 1_000)

    assert (refused.value.bound.name, refused.value.begin) == ("line_values", b"[" + b"[]," * 999 + b"[")
    assert splitter.value() == b"2"
