"""Inflating within bounds, whatever the pieces in which a body comes."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from gateway.domain import bounds
from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.web.content_coding import Inflater

if TYPE_CHECKING:
    import httpx

pytestmark = [pytest.mark.counted, pytest.mark.one_on_postgres]

CODED = gzip.compress(b'{"metadata": {"a": "1"}}')
ASKED = gzip.compress(b'{"query": "{ __typename }"}')


def inflate(coded: bytes, most: int, step: int) -> bytes:
    inflater = Inflater(most)
    found = [inflater.feed(coded[start : start + step]) for start in range(0, len(coded), step)]
    inflater.end()
    return b"".join(found)


@pytest.mark.parametrize("step", [1, 2, 7, 1_000])
def test_parsing_does_not_depend_on_how_input_is_split(step: int) -> None:
    text = bytes(range(256)) * 20

    assert inflate(gzip.compress(text[:99]) + gzip.compress(text[99:]), len(text), step) == text


@pytest.mark.parametrize("step", [1, 1_000_000])
def test_the_bound_is_exact(step: int) -> None:
    coded = gzip.compress(b"x" * 1_000)

    assert len(inflate(coded, 1_000, step)) == 1_000
    with pytest.raises(BodyTooLarge):
        inflate(coded, 999, step)


def test_the_limit_of_gzip_members_is_exact() -> None:
    members = [gzip.compress(b"x")] * bounds.GZIP_MEMBERS.number

    assert len(inflate(b"".join(members), 1_000, 1_000_000)) == len(members)
    with pytest.raises(InvalidRequest) as refused:
        inflate(b"".join([*members, gzip.compress(b"")]), 1_000, 1_000_000)
    assert refused.value.code == bounds.GZIP_MEMBERS.code


def test_inflating_takes_little_more_memory_than_the_limit() -> None:
    coded = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        inflate(coded, 1_000_000, len(coded))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5_000_000


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        pytest.param("gzip", CODED, 200, id="gzip"),
        pytest.param("identity, x-gzip", CODED, 200, id="its other name"),
        pytest.param("identity", gzip.decompress(CODED), 200, id="none, by its name"),
        pytest.param("br", CODED, 415, id="another"),
        pytest.param("gzip, gzip", CODED, 415, id="two"),
        pytest.param("gzip", CODED[:-4], 400, id="its end is missing"),
        pytest.param("gzip", b"{}", 400, id="none"),
        pytest.param("gzip", gzip.compress(b" " * (bounds.BODY.number + 1)), 413, id="too much"),
    ],
)
async def test_rest_accepts_gzip_bodies(rest: httpx.AsyncClient, coding: str, body: bytes, status: int) -> None:
    answer = await rest.post("/threads", content=body, headers={"content-encoding": coding})

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        pytest.param("gzip", ASKED, 200, id="gzip"),
        pytest.param("br", ASKED, 415, id="another"),
        pytest.param("gzip", ASKED[:-4], 400, id="its end is missing"),
        pytest.param("gzip", gzip.compress(b" " * (bounds.GRAPHQL_BODY.number + 1)), 413, id="too much"),
    ],
)
async def test_graphql_accepts_gzip_bodies(rest: httpx.AsyncClient, coding: str, body: bytes, status: int) -> None:
    headers = {"content-encoding": coding, "content-type": "application/json"}

    answer = await rest.post("http://gateway/graphql", content=body, headers=headers)

    assert answer.status_code == status
