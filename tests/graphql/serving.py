"""The application with given options, and the statements that it sends to its database."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from gateway.app import serve_store
from gateway.graphql.options import Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from gateway.store.engines.watchers import OnBegin
    from gateway.store.store import Store

URL = "http://gateway/graphql"
RESPONSE = {"accept": "application/graphql-response+json"}


@asynccontextmanager
async def serving(store: Store, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Call an application over a store, the GraphQL face of which has these options."""
    app = serve_store(store, Options(**options))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


@contextmanager
def statements_of(store: Store) -> Iterator[list[str]]:
    """Write down every statement that reaches the database."""
    seen: list[str] = []

    with watching(store, lambda _database, statement: seen.append(statement)):
        yield seen


@contextmanager
def watching(store: Store, on_begin: OnBegin) -> Iterator[None]:
    """Watch the statements of a store for the duration of the block."""
    store.watch(on_begin)
    try:
        yield
    finally:
        store._engines.watchers.on_begin.remove(on_begin)  # noqa: SLF001
