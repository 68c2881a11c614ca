"""A replay counts as a read, once it is known to be one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.app import serve_store
from gateway.auth.authenticator import Authenticator
from gateway.auth.rate_limits import RateLimiter, RateLimits
from tests.faces import GraphQL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store

CREATE = """mutation($key: String) {
  createThread(input: { idempotencyKey: $key, metadata: { by: "graphql" } }) { thread { id } }
}"""
BOTH = """mutation($new: String) {
  old: createThread(input: { idempotencyKey: "k" }) { thread { id } }
  new: createThread(input: { idempotencyKey: $new }) { thread { id } }
}"""


@asynccontextmanager
async def calling(store: Store, **rules: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = serve_store(store, authenticator=Authenticator(rate_limits=RateLimiter(RateLimits(**rules))))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway/v1") as client:
        yield client


async def create(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.post("/threads", headers={"Idempotency-Key": key})


@pytest.mark.parametrize("is_rest", [True, False])
async def test_replays_leave_the_rate_of_writes(store: Store, *, is_rest: bool) -> None:
    async with calling(store, writes="2/day") as client:

        async def made(key: str) -> bool:
            if is_rest:
                return (await create(client, key)).status_code == 200
            return "errors" not in await GraphQL(client).answer(CREATE, key=key)

        first = [await made("k") for _ in range(9)]
        later = [await made(key) for key in ("another", "one too many")]

    assert (first, later) == ([True] * 9, [True, False])


async def test_replays_count_as_reads(store: Store) -> None:
    async with calling(store, reads="3/day") as client:
        statuses = [(await create(client, "k")).status_code for _ in range(5)]
        read = await client.get("/threads")

    assert statuses == [200, 200, 200, 200, 429]
    assert read.status_code == 429


async def test_the_headers_of_a_replay_are_those_of_reads(store: Store) -> None:
    async with calling(store, reads="9/day", writes="5/day") as client:
        limits = [(await create(client, "k")).headers["x-ratelimit-limit-requests"] for _ in range(2)]

    assert limits == ["5", "9"]


async def test_an_operation_that_creates_anything_counts_as_a_write(store: Store) -> None:
    async with calling(store, writes="3/day") as client:
        await create(client, "k")
        answers = [await GraphQL(client).answer(BOTH, new=key) for key in ("a", "b", "c")]

    assert ["errors" in each for each in answers] == [False, False, True]


@pytest.mark.parametrize("status", [400, 404])
async def test_a_refused_creation_counts_as_a_write(store: Store, status: int) -> None:
    path, body = ("/threads/thread_none/messages", {"role": "user", "content": "hi"})
    async with calling(store, writes="1/day") as client:
        first = await client.post(path, json=body if status == 404 else {}, headers={"Idempotency-Key": "k"})
        again = await client.post(path, json=body, headers={"Idempotency-Key": "k"})

    assert (first.status_code, again.status_code) == (status, 429)
