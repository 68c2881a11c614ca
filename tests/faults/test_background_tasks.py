"""A background task fails while requests are served: operators see it, and it heals by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from tests.cli.test_doctor import examined
from tests.following import PATIENCE_S
from tests.live.cutting import line_to
from tests.live.server import serving
from tests.live.subscribing import ADDED, socket_to
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_server_that_cannot_listen_is_degraded_and_heals(postgres_url: str, tmp_path: Path) -> None:
    port = free_port()
    async with line_to(postgres_url) as line:
        given = {"GATEWAY_LISTEN_URL": line.url, "GATEWAY_METRICS_PORT": str(port)}
        with serving(postgres_url, folder=tmp_path, given=given) as server:
            async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
                await _until_ready(http, {"status": "ready"})
                thread_id = (await http.post("/v1/threads")).json()["id"]
                line.cut()
                await _until_ready(http, {"status": "degraded", "listening": False})
                said = await asyncio.to_thread(examined, postgres_url, "--port", str(server.port))
                served = await http.post(f"/v1/threads/{thread_id}/messages", json={"role": "user", "content": "hi"})
                line.mend()
                await _until_ready(http, {"status": "ready"})
                told = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                async with socket_to(server.base_url) as follower:
                    await follower.subscribe(ADDED, threadId=thread_id, after="0")
                    assert await follower.texts(1) == ["hi"]
            server.stop()

    assert served.status_code == 200
    assert said[1]["server"] == (
        "warning",
        "the one that runs is degraded: listening Its log has the reasons; it tries again by itself.",
    )
    assert 'gateway_background_tasks{task="listening"} 1.0' in told
    assert 'gateway_background_restarts_total{task="checking_credentials"} 0.0' in told
    assert 'gateway_background_restarts_total{task="listening"} 0.0' not in told
    assert "background task listening failed: ConnectionError: no hints from PostgreSQL" in server.stderr


async def _until_ready(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    """Ask until the server says so, and always that it is ready for requests."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await http.get("/readyz")
            assert answer.status_code == 200
            if answer.json() == body:
                return
            await asyncio.sleep(0.01)
