"""A request body that is sent compressed, by a server as users have it, on both faces."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from gateway.domain import bounds
from tests.following import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.live.server import Server

_JSON: Final = {"content-type": "application/json"}
_REST: Final = json.dumps({"metadata": {"a": "b"}}).encode()
_GRAPHQL: Final = json.dumps(
    {"query": 'mutation { createThread(input: {metadata: {a: "b"}}) { thread { metadata } } }'}
).encode()
_each_face: Final = pytest.mark.parametrize(("path", "body"), [("/v1/threads", _REST), ("/graphql", _GRAPHQL)])
_BOMB: Final = gzip.compress(b" " * (16 * bounds.BODY.number))  # 65 KB
_MEMBERS: Final = gzip.compress(b"") * 40_000  # each stands for nothing


@pytest.fixture
async def http(live_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=live_server.base_url, timeout=PATIENCE_S, headers=_JSON) as client:
        yield client


def _metadata(answer: httpx.Response) -> Any:
    found = answer.json()
    return found["metadata"] if "metadata" in found else found["data"]["createThread"]["thread"]["metadata"]


def _code(answer: httpx.Response) -> str:
    found = answer.json()
    code: str = found["error"]["code"] if "error" in found else found["errors"][0]["extensions"]["code"]
    return code


@_each_face
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "identity, gzip", "gzip ,"])
async def test_it_is_inflated(http: httpx.AsyncClient, path: str, body: bytes, coding: str) -> None:
    answer = await http.post(path, content=gzip.compress(body), headers={"content-encoding": coding})

    assert (answer.status_code, _metadata(answer)) == (200, {"a": "b"})


@_each_face
@pytest.mark.parametrize("coding", ["identity", "", "identity, identity"])
async def test_a_body_without_content_encoding_is_read_unchanged(
    http: httpx.AsyncClient, path: str, body: bytes, coding: str
) -> None:
    answer = await http.post(path, content=body, headers={"content-encoding": coding})

    assert (answer.status_code, _metadata(answer)) == (200, {"a": "b"})


@_each_face
async def test_concatenated_gzip_members_are_one_body(http: httpx.AsyncClient, path: str, body: bytes) -> None:
    coded = gzip.compress(body[:9]) + gzip.compress(body[9:])

    answer = await http.post(path, content=coded, headers={"content-encoding": "gzip"})

    assert _metadata(answer) == {"a": "b"}


@_each_face
@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "compress", "gzip, gzip", "gzip, br", "x" * 500])
async def test_an_unsupported_content_encoding_is_415_with_the_supported_one(
    http: httpx.AsyncClient, path: str, body: bytes, coding: str
) -> None:
    answer = await http.post(path, content=body, headers={"content-encoding": coding})

    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip")
    assert _code(answer) == "unsupported_content_encoding"


@_each_face
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda coded: coded[:-1], id="a byte short"),
        pytest.param(lambda coded: coded[:5], id="the beginning alone"),
        pytest.param(lambda _coded: b"", id="nothing"),
        pytest.param(lambda coded: coded + b"x", id="a byte behind it"),
        pytest.param(lambda coded: coded + b"\0" * 512, id="zeros behind it"),
        pytest.param(lambda coded: coded + coded[:4], id="half a member behind it"),
        pytest.param(lambda coded: coded[:-8] + bytes(8), id="another check sum"),
        pytest.param(gzip.decompress, id="not coded"),
        pytest.param(lambda _coded: _MEMBERS, id="forty thousand members"),
    ],
)
async def test_an_invalid_gzip_body_is_400(http: httpx.AsyncClient, path: str, body: bytes, damage: Any) -> None:
    answer = await http.post(path, content=damage(gzip.compress(body)), headers={"content-encoding": "gzip"})

    assert (answer.status_code, _code(answer)) == (400, "invalid_content_encoding")


@_each_face
@pytest.mark.parametrize("is_announced", [True, False], ids=["announced", "in chunks"])
async def test_a_small_body_that_decompresses_to_a_large_one_is_413(
    http: httpx.AsyncClient, path: str, body: bytes, *, is_announced: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(_BOMB), 1_000):
            yield _BOMB[start : start + 1_000]

    del body
    answer = await http.post(path, content=_BOMB if is_announced else pieces(), headers={"content-encoding": "gzip"})

    assert (answer.status_code, _code(answer)) == (413, "body_too_large")
