"""A server that is killed while it answers: no thread stays locked, no message comes twice, no run is lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.effort import chance, times
from tests.live.server import PATIENCE_S, serving
from tests.runs.fake_model import fake_model, says

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROUNDS: Final = times(fast=1, slow=20)
RUNS: Final = 12
FREE_S: Final = 15.0
WORDS: Final = [f"word{n} " for n in range(60)]
TEXT: Final = "".join(WORDS)
ENDED: Final = ("completed", "expired")
MOMENTS: Final = chance(1)


async def test_runs_end_or_go_on_within_fifteen_seconds_of_a_kill(
    new_sqlite_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_sqlite_url()
    with fake_model() as model:
        model.otherwise = lambda _body: says(*WORDS, pace_s=0.02)
        flags = ("--model-url", model.url, "--model", "m")
        for _ in range(ROUNDS):
            with serving(url, *flags, folder=tmp_path) as server:
                made = await start(server.base_url)
                await asyncio.sleep(MOMENTS.uniform(0.1, 1.3))  # a kill comes at any moment
            killed = time.monotonic()
            with serving(url, *flags, folder=tmp_path) as server:
                await check(server.base_url, made, killed)


async def test_the_other_server_goes_on_within_fifteen_seconds_of_a_kill(postgres_url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        model = stack.enter_context(fake_model())
        model.otherwise = lambda _body: says(*WORDS, pace_s=0.02)
        serve = partial(serving, postgres_url, "--model-url", model.url, "--model", "m", folder=tmp_path)
        servers = [stack.enter_context(serve()) for _ in range(2)]
        for _ in range(ROUNDS):
            dies, goes_on = servers
            made = [*await start(dies.base_url, RUNS // 2), *await start(goes_on.base_url, RUNS // 2)]
            await asyncio.sleep(MOMENTS.uniform(0.0, 1.0))  # as above
            dies.kill()
            await check(goes_on.base_url, made, time.monotonic())
            servers = [goes_on, stack.enter_context(serve())]


async def start(base_url: str, number: int = RUNS) -> list[Any]:
    """Let a model answer some threads at once."""
    async with httpx.AsyncClient(base_url=f"{base_url}/v1", timeout=PATIENCE_S) as http:
        thread = {"messages": [{"role": "user", "content": "Count."}]}
        assistant = (await http.post("/assistants", json={"model": "m"})).json()["id"]
        body = {"assistant_id": assistant, "thread": thread}
        made = await asyncio.gather(*(http.post("/threads/runs", json=body) for _ in range(number)))
    return [each.raise_for_status().json() for each in made]


async def check(base_url: str, made: list[Any], killed: float) -> None:
    """Wait for the end of each run, and look at what it has left."""
    async with httpx.AsyncClient(base_url=f"{base_url}/v1", timeout=PATIENCE_S) as http:
        found = await asyncio.gather(*(ended(http, run, killed) for run in made))
        assert set(found) <= set(ENDED), Counter(found)
        for run, status in zip(made, found, strict=True):
            path = f"/threads/{run['thread_id']}/messages"
            answers = (await http.get(path, params={"run_id": run["id"]})).json()["data"]
            assert len(answers) == (1 if status == "completed" else len(answers)) <= 1
            for answer in answers:
                text = answer["content"][0]["text"]["value"]
                assert text == TEXT if status == "completed" else TEXT.startswith(text)
            assert (await http.post(path, json={"role": "user", "content": "Again."})).status_code == 200


async def ended(http: httpx.AsyncClient, run: Any, killed: float) -> str:
    """Poll a run until it ends; if it was only taken over, it may take longer than to free a thread."""
    while True:
        found = (await http.get(f"/threads/{run['thread_id']}/runs/{run['id']}")).json()
        if found["status"] in ENDED:
            return str(found["status"])
        late = time.monotonic() - killed
        assert late < FREE_S or (found["started_at"] or 0) > time.time() - FREE_S, found["status"]
        assert late < PATIENCE_S
        await asyncio.sleep(0.1)
