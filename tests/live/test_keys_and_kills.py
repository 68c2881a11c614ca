"""Servers that are killed between the commit and the answer, or that are two, create once under one key."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.effort import times
from tests.live.cutting import forgetful_line_to
from tests.live.server import serving
from tests.live.test_kill import all_messages, assert_rows_are_sound, client_of, create

if TYPE_CHECKING:
    from pathlib import Path

KILLS = times(fast=10, slow=200)
AT_ONCE = 50


@pytest.mark.uncounted
@pytest.mark.timeout(900)  # the 200 kills of each database take some minutes
async def test_a_server_killed_between_commit_and_answer_has_created_once(database_url: str, tmp_path: Path) -> None:
    thread_id = ""
    made: list[str] = []
    for number in range(KILLS + 1):
        with serving(database_url, folder=tmp_path) as server:
            async with client_of(server.base_url) as http:
                if number:
                    made.append(await create(http, thread_id, f"{number - 1}", by_rest=number % 2 == 0))
                else:
                    thread_id = (await http.post("/v1/threads")).json()["id"]
                if number == KILLS:
                    listed = await all_messages(http, thread_id)
                    break
            async with forgetful_line_to(server.port, server.kill) as url, client_of(url) as lost:
                with pytest.raises(httpx.TransportError):
                    await create(lost, thread_id, f"{number}", by_rest=number % 2 == 0)

    assert [each["content"][0]["text"]["value"] for each in listed] == [f"{number}" for number in range(KILLS)]
    assert [each["id"] for each in listed] == made
    await assert_rows_are_sound(database_url, {thread_id: KILLS})


@pytest.mark.uncounted
async def test_a_server_killed_after_an_assistant_was_committed_has_made_it_once(
    database_url: str, tmp_path: Path
) -> None:
    keyed = {"Idempotency-Key": "one"}
    with serving(database_url, "--demo", folder=tmp_path) as server:
        async with forgetful_line_to(server.port, server.kill) as url, client_of(url) as lost:
            with pytest.raises(httpx.TransportError):
                await lost.post("/v1/assistants", json={"model": "demo"}, headers=keyed)
    with serving(database_url, "--demo", folder=tmp_path) as server:
        async with client_of(server.base_url) as http:
            again = await http.post("/v1/assistants", json={"model": "demo"}, headers=keyed)
            listed = (await http.get("/v1/assistants")).json()["data"]

    assert again.headers["idempotent-replayed"] == "true"
    assert listed == [again.json()]


@pytest.mark.uncounted
async def test_two_servers_of_one_database_create_once(postgres_url: str, tmp_path: Path) -> None:
    with ExitStack() as servers:
        urls = [servers.enter_context(serving(postgres_url, folder=tmp_path)).base_url for _ in range(2)]
        async with AsyncExitStack() as clients:
            first, second = [await clients.enter_async_context(client_of(url)) for url in urls]
            thread_id = (await first.post("/v1/threads")).json()["id"]
            both = [(first, second)[n % 2] for n in range(AT_ONCE)]
            made = await asyncio.gather(
                *[create(each, thread_id, "hello", by_rest=n % 4 < 2) for n, each in enumerate(both)]
            )
            listed = await all_messages(second, thread_id)

    assert [each["id"] for each in listed] == [made[0]]
    assert set(made) == {made[0]}
    await assert_rows_are_sound(postgres_url, {thread_id: 1})
