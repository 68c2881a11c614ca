"""A hint is lost with the server that has committed: followers of others hear of the change all the same, and soon."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from statistics import median
from typing import TYPE_CHECKING, Final

import httpx

from tests.effort import times
from tests.following import PATIENCE_S
from tests.live.cutting import line_to
from tests.live.server import serving
from tests.live.subscribing import ADDED, socket_to
from tests.pace import patience

if TYPE_CHECKING:
    from pathlib import Path

    from tests.live.subscribing import Socket

HINT_S: Final = patience(0.05)
LOST_S: Final = 1.0
LATE_S: Final = patience(1.0)  # of a machine that is busy


async def test_what_a_server_commits_just_before_it_is_killed_is_heard_within_a_second(
    postgres_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(line_to(postgres_url))
        reader = stack.enter_context(serving(postgres_url, folder=tmp_path))
        given = {"GATEWAY_LISTEN_URL": line.url}
        writer = stack.enter_context(serving(postgres_url, folder=tmp_path, given=given))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=writer.base_url, timeout=PATIENCE_S))
        thread = (await http.post("/v1/threads")).json()["id"]
        ours, others = [await stack.enter_async_context(socket_to(each.base_url)) for each in (writer, reader)]
        for each in (ours, others):
            await each.subscribe(ADDED, threadId=thread, after="0")
        seconds = [await heard_after(http, thread, ours, others) for _ in range(times(fast=15, slow=200))]

        line.silence()  # what is committed now has a hint that arrives nowhere
        (await http.post(f"/v1/threads/{thread}/messages", json={"role": "user", "content": "last"})).raise_for_status()
        committed_at = time.monotonic()
        writer.process.kill()
        line.cut()
        texts = await others.texts(1)
        lost_s = time.monotonic() - committed_at

    assert texts == ["last"]
    assert lost_s < LOST_S + LATE_S
    assert median(theirs - own for own, theirs in seconds) < HINT_S


async def heard_after(http: httpx.AsyncClient, thread: str, *followers: Socket) -> list[float]:
    """Write a message; return how long after the answer each follower hears it."""

    async def heard(follower: Socket) -> float:
        assert await follower.texts(1) == ["Hello"]
        return time.monotonic()

    hearing = [asyncio.create_task(heard(each)) for each in followers]
    body = {"role": "user", "content": "Hello"}
    (await http.post(f"/v1/threads/{thread}/messages", json=body)).raise_for_status()
    answered_at = time.monotonic()
    return [await each - answered_at for each in hearing]
