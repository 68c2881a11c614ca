"""What these tests share: one world for each module and each kind of database, served inside this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.auth import api_keys
from gateway.core import epochs
from gateway.runs.service import Answering
from gateway.runs.worker import Worker
from tests.isolation.asking import Served
from tests.isolation.world import authenticator_over, make_world
from tests.live.inside import serving_inside
from tests.runs.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of a database of its own: a server without keys would see the new keys and require them."""
    url: str = request.getfixturevalue(f"new_{request.param}_url")()
    return url


@pytest.fixture(scope="module")
def _quiet() -> Iterator[None]:
    """Let nothing but what is asked reach the database: keys are looked up once, and their use is noted at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_keys, "FRESH_S", 3_600)
        patch.setattr(api_keys, "WRITE_S", 3_600)
        patch.setattr(epochs, "CHECK_S", 3_600)
        patch.setattr(Worker, "_take", _nothing)
        yield


async def _nothing(_worker: Worker) -> None:
    pass


@pytest.fixture(scope="module")
async def served(world_url: str, _quiet: None) -> AsyncIterator[Served]:
    """Serve a world."""
    async with (
        serving_inside(world_url, authenticator_over, answering=Answering(Scripted(any_assistant=True))) as inside,
        httpx.AsyncClient(base_url=inside.base_url) as beyond,
    ):
        async with inside.store.read() as reads:
            await epochs.current(reads, inside.hub)
        yield Served(await make_world(inside.store), inside, httpx.ASGITransport(inside.app), beyond)
