from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.domain import bounds
from gateway.web.body import MAX_BODY
from tests.rest.calls import page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

CHUNK = 64 * 1024
TOO_LARGE = {
    "message": f"The request body is too large. Expected at most {MAX_BODY} bytes.",
    "type": "invalid_request_error",
    "param": None,
    "code": "body_too_large",
}
ENDPOINTS = [
    pytest.param("/threads", bounds.BODY.number, id="REST"),
    pytest.param("http://gateway/graphql", bounds.GRAPHQL_BODY.number, id="GraphQL"),
]
JSON = {"Content-Type": "application/json"}


class Counted:
    """A body without an announced length, which counts how much of it was taken."""

    def __init__(self, first: bytes, size: int) -> None:
        self.taken = 0
        self._first = first
        self._size = size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.taken < self._size:
            chunk = (self._first if self.taken == 0 else b"").ljust(min(CHUNK, self._size - self.taken))
            self.taken += len(chunk)
            yield chunk


@pytest.mark.parametrize(("path", "most"), ENDPOINTS)
async def test_a_body_announced_too_large_is_refused_unread(rest: httpx.AsyncClient, path: str, most: int) -> None:
    body = Counted(b"{}", 2 * MAX_BODY)

    answer = await rest.post(path, content=body, headers={**JSON, "Content-Length": str(most + 1)})

    assert (answer.status_code, body.taken) == (413, 0)


@pytest.mark.parametrize(("path", "most"), ENDPOINTS)
async def test_a_body_that_grows_too_large_is_read_no_further(rest: httpx.AsyncClient, path: str, most: int) -> None:
    body = Counted(b"{}", 2 * most)

    answer = await rest.post(path, content=body, headers=JSON)

    assert (answer.status_code, body.taken) == (413, most + CHUNK)


async def test_a_length_announced_too_small_does_not_help(rest: httpx.AsyncClient) -> None:
    body = Counted(b"{}", 2 * MAX_BODY)

    answer = await rest.post("/threads", content=body, headers={"Content-Length": "2"})

    assert (answer.status_code, body.taken) == (413, MAX_BODY + CHUNK)


@pytest.mark.parametrize("size", [pytest.param(MAX_BODY + 1, id="one byte"), pytest.param(3 * MAX_BODY, id="far")])
async def test_a_body_too_large_is_refused_in_the_envelope(rest: httpx.AsyncClient, size: int) -> None:
    answer = await rest.post("/threads", content=b"{}".ljust(size))

    assert answer.content == orjson.dumps({"error": TOO_LARGE})


async def test_a_body_too_large_for_graphql_has_the_same_code(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(
        "http://gateway/graphql", content=b"{}".ljust(bounds.GRAPHQL_BODY.number + 1), headers=JSON
    )

    [error] = answer.json()["errors"]
    message = f"The request body is too large. Expected at most {bounds.GRAPHQL_BODY.number} bytes."
    assert (error["message"], error["extensions"]["code"]) == (message, TOO_LARGE["code"])


async def test_a_body_over_the_limit_creates_nothing(rest: httpx.AsyncClient) -> None:
    await rest.post("/threads", content=b"{}".ljust(MAX_BODY + 1))

    assert (await page(rest, "/threads"))["data"] == []


@pytest.mark.parametrize("is_announced", [True, False], ids=["announced", "in chunks"])
async def test_a_body_of_exactly_the_limit_is_accepted(rest: httpx.AsyncClient, *, is_announced: bool) -> None:
    body = b"{}".ljust(MAX_BODY) if is_announced else Counted(b"{}", MAX_BODY)

    answer = await rest.post("/threads", content=body)

    assert answer.status_code == 200


async def test_a_message_of_the_longest_text_fits_into_a_body(rest: httpx.AsyncClient, thread_id: str) -> None:
    text = "\\ud83d\\ude00" * 256_000  # escaped, a character of four bytes takes twelve
    body = f'{{"role":"user","content":"{text}"}}'.encode()

    answer = await rest.post(f"/threads/{thread_id}/messages", content=body)

    assert answer.status_code == 200
