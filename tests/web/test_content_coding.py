"""Inflating within bounds, whatever the pieces in which a body comes."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from gateway.domain import bounds
from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.web.content_coding import Inflater


def inflate(coded: bytes, most: int, step: int) -> bytes:
    inflater = Inflater(most)
    found = [inflater.feed(coded[start : start + step]) for start in range(0, len(coded), step)]
    inflater.end()
    return b"".join(found)


@pytest.mark.parametrize("step", [1, 2, 7, 1_000])
def test_the_pieces_in_which_it_comes_make_no_difference(step: int) -> None:
    text = bytes(range(256)) * 20

    assert inflate(gzip.compress(text[:99]) + gzip.compress(text[99:]), len(text), step) == text


@pytest.mark.parametrize("step", [1, 1_000_000])
def test_the_bound_is_exact(step: int) -> None:
    coded = gzip.compress(b"x" * 1_000)

    assert len(inflate(coded, 1_000, step)) == 1_000
    with pytest.raises(BodyTooLarge):
        inflate(coded, 999, step)


def test_as_many_members_as_may_be_are_taken_and_one_more_is_not() -> None:
    members = [gzip.compress(b"x")] * bounds.GZIP_MEMBERS.number

    assert len(inflate(b"".join(members), 1_000, 1_000_000)) == len(members)
    with pytest.raises(InvalidRequest) as refused:
        inflate(b"".join([*members, gzip.compress(b"")]), 1_000, 1_000_000)
    assert refused.value.code == bounds.GZIP_MEMBERS.code


def test_no_more_than_the_bound_is_held() -> None:
    coded = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        inflate(coded, 1_000_000, len(coded))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5_000_000
