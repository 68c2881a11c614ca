"""The composition root: settings to a Starlette application; the only place where the layers are wired.

Must not be here: anything that a layer could do.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.gql.options import Options
from gateway.gql.over_http import GraphQLOverHttp
from gateway.gql.page import ASSETS, BUILT, Explorer
from gateway.gql.schema import build_schema
from gateway.gql.trusted import load_trusted
from gateway.rest import render
from gateway.rest.routes import routes, unknown_url, wrong_method
from gateway.settings import Settings, load_settings
from gateway.store.sql import open_store
from gateway.web.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

    from gateway.core import Store


def create_app(settings: Settings) -> Starlette:
    """Make the application; the database is first reached when a request needs it."""
    return serve_store(open_store(settings.database_url), graphql_options(settings))


def graphql_options(settings: Settings) -> Options:
    """Read what the settings say of the GraphQL face.

    Errors: InvalidSetting where the trusted documents cannot be read.
    """
    return Options(
        introspection=settings.introspection,
        suggestions=settings.suggestions,
        graphiql=settings.graphiql,
        max_cost=settings.graphql_cost,
        timeout_s=settings.graphql_timeout_s,
        batch=settings.graphql_batch,
        by_draft=settings.graphql_http == "draft-2026-08",
        trusted=load_trusted(settings.trusted_documents, settings.trusted_mode),
    )


def create_app_from_environment() -> Starlette:
    """Make the application in a process that `gateway serve` has started."""
    return create_app(load_settings())


def lead_to_graphql(_request: Request) -> Response:
    """Lead a browser from the root to the page that it can use."""
    return RedirectResponse("/graphql")


def serve_store(store: Store, options: Options | None = None, graphiql: Path = BUILT) -> Starlette:
    """Make the application over an open store, which it closes when it ends; `graphiql` is where GraphiQL was built."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await graphql.close()
        await store.close()

    explorer = Explorer(graphiql)
    # Strawberry has no public name for the schema that graphql-core executes.
    graphql = GraphQLOverHttp(build_schema()._schema, store, explorer.page, options)  # noqa: SLF001
    return Starlette(
        routes=[
            Route("/", lead_to_graphql),
            Route("/graphql", graphql),
            Route(ASSETS, explorer.asset),
            *routes(store),
        ],
        middleware=[Middleware(Envelope, crashed=lambda _scope: render.crash())],
        exception_handlers={404: unknown_url, 405: wrong_method},
        lifespan=lifespan,
    )
