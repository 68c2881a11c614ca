"""Values out of a stream: what is no JSON, or too long, ends where it is seen."""

from __future__ import annotations

from io import BytesIO

import pytest

from gateway.transfer.cutting import BrokenError, Cutter, TooLongError

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

    with pytest.raises(TooLongError):
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
