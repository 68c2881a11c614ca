"""npm's graphql-ws and graphql-sse, unchanged, following a thread through connections that are cut off under them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.clients.node import run
from tests.following import PATIENCE_S
from tests.live.cutting import bad_line_to
from tests.live.server import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.live.server import Server

TEXTS: Final = [*(f"message {n}" for n in range(20)), "the end"]


def thread_with(server: Server, texts: list[str]) -> str:
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    answer = httpx.post(f"{server.base_url}/v1/threads", json=body, timeout=PATIENCE_S)
    thread_id: str = answer.raise_for_status().json()["id"]
    return thread_id


@pytest.mark.parametrize(
    ("script", "after_bytes"),
    [
        pytest.param("over_ws.mjs", 500, id="graphql-ws"),  # compressed, so an event is some 60 bytes
        pytest.param("over_sse.mjs", 1_500, id="graphql-sse"),
    ],
)
async def test_a_client_that_is_disconnected_repeatedly_receives_each_message_once(
    database_url: str, tmp_path: Path, node_clients: Path, script: str, after_bytes: int
) -> None:
    with serving(database_url, folder=tmp_path) as server:
        thread_id = thread_with(server, TEXTS)
        async with bad_line_to(server.port, after_bytes) as url:
            told = json.loads(await asyncio.to_thread(run, node_clients / script, url, thread_id))

    assert told["texts"] == TEXTS
    assert told["connections"] > 2
