"""The application with given options, and the statements that it sends to its database."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import event

from gateway.app import serve_store
from gateway.graphql.options import Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

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

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    engines = {engine.sync_engine for engine in (store._engines.reader, store._engines.writer)}  # noqa: SLF001
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield seen
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)
