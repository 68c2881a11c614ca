"""What these tests share: the application with a chosen origin policy, where no database has a part."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.app import serve_store
from gateway.store.store import open_store
from gateway.web.origins import OriginPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    Visiting = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def visiting(sqlite_url: str) -> Visiting:
    """Call an application that lets these hosts and origins in, by a URL."""

    @asynccontextmanager
    async def visit(base_url: str = "http://gateway", **chosen: Any) -> AsyncIterator[httpx.AsyncClient]:
        store = open_store(sqlite_url)
        transport = httpx.ASGITransport(serve_store(store, origin_policy=OriginPolicy(**chosen)))
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
            yield client
        await store.close()

    return visit
