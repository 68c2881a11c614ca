"""What tests of runs share: an application in this process that answers with scripted models."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.app import serve_store
from gateway.graphql.options import Options
from gateway.runs.service import Answering
from tests.runs.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.events.hub import Hub
    from gateway.store.store import Store


@pytest.fixture
def models() -> Scripted:
    """Answer with scripts."""
    return Scripted()


@asynccontextmanager
async def lifespan_of(app: Any) -> AsyncIterator[None]:
    """Run what an application does beside its requests."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    running = asyncio.ensure_future(app({"type": "lifespan", "asgi": {}, "state": {}}, told.get, heard.put))
    told.put_nowait({"type": "lifespan.startup"})
    assert (await heard.get())["type"] == "lifespan.startup.complete"
    yield
    told.put_nowait({"type": "lifespan.shutdown"})
    assert (await heard.get())["type"] == "lifespan.shutdown.complete"
    await running


@pytest.fixture
async def rest(store: Store, hub: Hub, models: Scripted) -> AsyncIterator[httpx.AsyncClient]:
    """Call the application in this process, the paths counted from /v1."""
    app = serve_store(store, Options(timeout_s=60), hub=hub, answering=Answering(models))
    transport = httpx.ASGITransport(app)
    async with lifespan_of(app), httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as client:
        yield client


@pytest.fixture
async def assistant_id(rest: httpx.AsyncClient) -> str:
    """Make an assistant to run."""
    made = await rest.post("/assistants", json={"model": "small", "instructions": "Be kind."})
    assert made.status_code == 200, made.text
    assistant_id: str = made.json()["id"]
    return assistant_id
