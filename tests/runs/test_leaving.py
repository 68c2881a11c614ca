"""Clients that leave a stream: the run goes on, and the server keeps nothing of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from gateway.rest import run_stream
from gateway.runs.models.interface import TextDelta
from gateway.runs.service import Answering
from tests.live.inside import serving_inside
from tests.runs.calls import poll
from tests.runs.scripted import STOP, Scripted, events_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from gateway.runs.models.interface import ModelEvent
    from tests.live.inside import Inside


@asynccontextmanager
async def streaming(
    url: str, *script: ModelEvent | asyncio.Event
) -> AsyncIterator[tuple[Inside, httpx.AsyncClient, httpx.Response]]:
    """Serve a model that answers so, and begin to stream a run."""
    models = Scripted([script], any_assistant=True)
    thread = {"messages": [{"role": "user", "content": "Hi"}]}
    async with (
        serving_inside(url, answering=Answering(models)) as server,
        httpx.AsyncClient(base_url=f"{server.base_url}/v1") as rest,
        rest.stream(
            "POST", "/threads/runs", json={"assistant_id": "asst_any", "thread": thread, "stream": True}
        ) as answer,
    ):
        yield server, rest, answer


async def test_a_client_that_leaves_does_not_cancel_its_run(sqlite_url: str) -> None:
    waits = asyncio.Event()
    async with streaming(sqlite_url, TextDelta("Half "), waits, TextDelta("and half."), STOP) as (_, rest, answer):
        text = ""
        async for piece in answer.aiter_text():
            text += piece
            if "message.delta" in text:
                break
        await answer.aclose()
        run = events_of(text)[1][1]
        waits.set()

        assert (await poll(rest, run))["status"] == "completed"


async def test_a_stream_without_news_is_kept_alive(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_stream, "KEEP_ALIVE_S", 0.01)
    waits = asyncio.Event()
    async with streaming(sqlite_url, waits, STOP) as (_, _, answer):
        text = ""
        async for piece in answer.aiter_text():
            text += piece
            if ": keep-alive\n\n" in text:
                waits.set()

    assert [name for name, *_ in events_of(text)][-2:] == ["thread.run.completed", "done"]


async def test_a_stream_ends_with_an_error_when_the_server_stops(sqlite_url: str) -> None:
    async with streaming(sqlite_url, TextDelta("Half "), asyncio.Event()) as (server, _, answer):
        text = ""
        async for piece in answer.aiter_text():
            if "message.delta" in text + piece and "message.delta" not in text:
                server.hub.end()
            text += piece

    [last] = events_of(text)[-1:]
    assert (last[0], set(last[1])) == ("error", {"error"})
    assert last[1]["error"]["message"].startswith("The server is stopping")
