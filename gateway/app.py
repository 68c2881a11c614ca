"""The composition root: settings to an ASGI application; the only place where the layers are wired.

Must not be here: anything that a layer could do.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import Authenticator
from gateway.auth.rate_limits import RateLimiter, RateLimits
from gateway.events.hub import Hub
from gateway.events.polling import poll
from gateway.graphql.documents.trusted import load_trusted
from gateway.graphql.execution.operations import Operations
from gateway.graphql.options import Options
from gateway.graphql.schema.build import build_schema
from gateway.graphql.transport.explorer import ASSETS, BUILT, Explorer
from gateway.graphql.transport.http import URL, GraphQLOverHttp, refuse_at_the_door
from gateway.graphql.transport.negotiation import wants_page
from gateway.graphql.transport.websocket import GraphQLOverWebSocket
from gateway.observability.log import request_log
from gateway.observability.record import no_observer, no_tracer
from gateway.rest import openapi, render
from gateway.rest.routes import RestFace, unknown_url, wrong_method
from gateway.server.app_state import CLOSE_SUBSCRIPTIONS, REFUSAL_HEADERS
from gateway.server.memory import give_back_large_blocks
from gateway.server.websocket_protocol import allow_long_messages
from gateway.settings.load import load_settings, wants_traces
from gateway.settings.values import OFF
from gateway.store.engines.open import migrates_itself, url_to_listen_at
from gateway.store.engines.postgres import CHANNEL
from gateway.store.store import open_store
from gateway.web.health import Readiness, liveness
from gateway.web.middleware import RequestMiddleware, early_headers
from gateway.web.origins import OriginPolicy, Origins, default_hosts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import Lifespan

    from gateway.auth.jwt import JwtVerifier
    from gateway.auth.thread_tokens import ThreadTokens
    from gateway.core import Store
    from gateway.errors import GatewayError
    from gateway.observability.metrics import Metrics, Reading
    from gateway.observability.record import Observer, RequestRecord, Tracer
    from gateway.observability.tracing import Tracing
    from gateway.settings.table import Settings
    from gateway.web.request import Answer

log: Final = logging.getLogger(__name__)

_RATE: Final = "6000/minute"  # a hundred a second, as who writes answers token by token may need
_AT_ONCE: Final = "100"
_FAILED_AUTH: Final = "60/minute"
_FACES: Final = """Threads and messages, with two faces:

  /v1        REST: the base_url of an OpenAI SDK
  /graphql   GraphQL
"""


@dataclass(frozen=True, slots=True)
class Listeners:
    """The observer of requests, their metrics and traces."""

    observer: Observer = no_observer
    metrics: Metrics | None = None
    tracing: Tracing | None = None

    @property
    def tracer(self) -> Tracer:
        """What a request is wrapped in."""
        return self.tracing.trace if self.tracing else no_tracer


def create_app(settings: Settings) -> RequestMiddleware:
    """Make the application; the database is first reached when a request needs it."""
    hub = Hub()
    store = open_store(settings.database_url, hub.wake)
    return serve_store(
        store,
        graphql_options(settings),
        hub=hub,
        hints=hints_from_others(store, hub, settings),
        origin_policy=origin_policy_of(settings),
        authenticator=authenticator_of(settings, ApiKeyCache(store)),
        listeners=listeners_of(settings),
    )


def listeners_of(settings: Settings) -> Listeners:
    """Make what hears of each request: the log, and where they are wanted metrics and traces."""
    write, tracing = request_log(), tracing_if_wanted()
    if not settings.metrics_port:
        return Listeners(write, tracing=tracing)
    from gateway.observability.metrics import Metrics  # noqa: PLC0415  (what nobody asked for costs nobody time and memory)

    metrics = Metrics(settings.host, settings.metrics_ports())

    def observe(record: RequestRecord) -> None:
        write(record)
        metrics.count(record)

    return Listeners(observe, metrics, tracing)


def tracing_if_wanted() -> Tracing | None:
    """Make what makes traces, where OpenTelemetry's variables ask for them and it is installed."""
    if not wants_traces():
        return None
    try:
        from gateway.observability.tracing import to_collector  # noqa: PLC0415  (what it stands on is an extra)
    except ModuleNotFoundError:  # such variables are often set for all programs of a machine
        log.warning("no traces are made: pip install 'threads-gateway[otel]'")
        return None
    return to_collector()


def readings(store: Store, operations: Operations) -> list[Reading]:
    """Name what metrics look up whenever somebody asks for them."""
    from gateway.observability.metrics import Reading  # noqa: PLC0415  (as above)

    kept = operations.documents.kept
    return [
        Reading("gateway_connections", "Database connections in use", store.connections, "pool"),
        Reading(
            "gateway_connections_limit", "Maximum number of database connections", store.connections_at_most, "pool"
        ),
        Reading("gateway_followers", "Open subscriptions", operations.hub.followers, "of"),
        Reading(
            "gateway_documents",
            "Cached GraphQL documents, and their estimated size in bytes",
            lambda: {"documents": len(kept), "bytes": kept.weight},
            "of",
        ),
        Reading(
            "gateway_document_lookups",
            "Lookups in the cache of GraphQL documents",
            lambda: {"hit": kept.hits, "miss": kept.misses},
            "outcome",
            is_counter=True,
        ),
        Reading(
            "gateway_operations",
            "GraphQL operations executed or subscribed to, by executor",
            operations.executed,
            "way",
            is_counter=True,
        ),
    ]


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
        body_size=settings.graphql_body,
        by_draft=settings.graphql_http == "draft-2026-08",
        trusted=load_trusted(settings.trusted_documents, settings.trusted_mode),
    )


def origin_policy_of(settings: Settings) -> OriginPolicy:
    """Read what the settings say of hosts and origins."""
    hosts = tuple(settings.hosts.split(",")) if settings.hosts else default_hosts(settings.host)
    origins = [name for name in settings.cors_origins.split(",") if name]
    return OriginPolicy(hosts, Origins(*origins), settings.cors_credentials)


def authenticator_of(settings: Settings, key_cache: ApiKeyCache) -> Authenticator:
    """Make the authenticator that the settings describe."""
    return Authenticator(
        key_cache, jwt_verifier_of(settings), thread_tokens_of(settings), RateLimiter(rate_limits_of(settings))
    )


def jwt_verifier_of(settings: Settings) -> JwtVerifier | None:
    """Make what recognises end users, where the settings say whose tokens are taken."""
    if not settings.jwt_jwks_url and not settings.jwt_secret:
        return None
    from gateway.auth.jwt import JwtRules, JwtVerifier  # noqa: PLC0415  (with `jwt` come 60 modules of cryptography)

    return JwtVerifier(
        JwtRules(
            jwks=settings.jwt_jwks_url,
            secret=settings.jwt_secret,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            old_secret=settings.jwt_secret_old,
            require_scopes=settings.jwt_require_scopes,
        )
    )


def thread_tokens_of(settings: Settings) -> ThreadTokens | None:
    """Make what signs tokens for one thread, where there is a secret for it."""
    if not settings.token_secret:
        return None
    from gateway.auth.thread_tokens import ThreadTokens  # noqa: PLC0415  (as above)

    return ThreadTokens(settings.token_secret, settings.token_secret_old)


def rate_limits_of(settings: Settings) -> RateLimits:
    """Read what the settings say of rates; nobody is slowed down who is alone with the server on a machine."""
    is_own = bool(default_hosts(settings.host))
    reads, writes, concurrent = (
        None if given == OFF or (not given and is_own) else given or default
        for given, default in (
            (settings.rate_reads, _RATE),
            (settings.rate_writes, _RATE),
            (settings.rate_at_once, _AT_ONCE),
        )
    )
    failures = None if settings.rate_failed_auth == OFF else settings.rate_failed_auth or _FAILED_AUTH
    return RateLimits(reads, writes, None if concurrent is None else int(concurrent), settings.rate_store, failures)


def create_app_from_environment() -> RequestMiddleware:
    """Make the application in a process that `gateway serve` has started."""
    give_back_large_blocks()
    return create_app(load_settings())


def root(*, has_page: bool) -> Callable[[Request], Response]:
    """Lead a browser from the root to the page, if there is one, and tell everybody else where the faces are."""

    def answer(request: Request) -> Response:
        headers = {"vary": "accept"}
        if has_page and wants_page(request.method, request.headers):
            return RedirectResponse("/graphql", headers=headers)
        return PlainTextResponse(_FACES, headers=headers)

    return answer


def refuse(path: str, error: GatewayError) -> Answer:
    """Return an error in the format of the face that was requested."""
    return refuse_at_the_door(error) if path == URL else render.error(error)


def hints_from_others(store: Store, hub: Hub, settings: Settings) -> Coroutine[Any, Any, None] | None:
    """Hear what other processes on the same database change, where there may be any."""
    if not migrates_itself(settings.database_url):
        from gateway.events.postgres import listen  # noqa: PLC0415  (SQLite needs no driver of PostgreSQL)

        return listen(url_to_listen_at(settings.database_url, settings.listen_url), CHANNEL, hub)
    return poll(hub, store.data_version, store.last_positions) if settings.workers > 1 else None


def serve_store(
    store: Store,
    options: Options | None = None,
    graphiql: Path = BUILT,
    *,
    hub: Hub | None = None,
    hints: Coroutine[Any, Any, None] | None = None,
    origin_policy: OriginPolicy | None = None,
    authenticator: Authenticator | None = None,
    listeners: Listeners | None = None,
) -> RequestMiddleware:
    """Make the application over an open store, which it closes when it ends: the one callable for users and tests.

    `graphiql` is the folder of the built GraphiQL. `hub` gets the changes of the store, and `hints` those of others.
    Without an `authenticator` every request is accepted, without `listeners` none is logged.
    """
    options, heard = options or Options(), listeners or Listeners()
    if heard.tracing:
        store.watch(heard.tracing.statement)
    explorer = Explorer(graphiql)
    policy, authenticator = origin_policy or OriginPolicy(), authenticator or Authenticator()
    # Strawberry has no public name for the schema that graphql-core executes.
    schema = build_schema()._schema  # noqa: SLF001
    operations = Operations(schema, store, hub or Hub(), options, authenticator)
    graphql = GraphQLOverHttp(operations, explorer.page, policy)
    lifespan = _lifespan(operations, store, hints, heard, origin_policy=policy)
    app = Starlette(routes=_routes(operations, store, explorer), lifespan=lifespan)
    # Without the outermost layer that Starlette would make, which catches what the envelope catches.
    app.middleware_stack = ExceptionMiddleware(app.router, {404: unknown_url, 405: wrong_method})
    rest = RestFace(store, authenticator)
    return RequestMiddleware(
        app,
        face=lambda request: graphql.find(request) or rest.find(request),
        refuse=refuse,
        crashed=render.crash,
        origin_policy=policy,
        observer=heard.observer,
        tracer=heard.tracer,
        sockets={URL: GraphQLOverWebSocket(operations, policy, heard.observer, heard.tracer, allow_long_messages)},
    )


def _routes(operations: Operations, store: Store, explorer: Explorer) -> list[BaseRoute]:
    """List what is served beside the faces."""
    readiness = Readiness(store.is_migrated, lambda: operations.hub.is_ending)
    return [
        Route("/", root(has_page=operations.options.graphiql)),
        Route("/healthz", liveness),
        Route("/readyz", readiness.answer),
        Route(ASSETS, explorer.asset),
        Route(openapi.URL, openapi.describe),
    ]


def _lifespan(
    operations: Operations,
    store: Store,
    hints: Coroutine[Any, Any, None] | None,
    heard: Listeners,
    *,
    origin_policy: OriginPolicy,
) -> Lifespan[Starlette]:
    """Run what belongs beside the requests for as long as they are served, and close all behind the last one."""
    if heard.metrics:
        heard.metrics.watch(readings(store, operations))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        running = [asyncio.create_task(each) for each in (hints, *operations.authenticator.background_tasks()) if each]
        with heard.metrics.serving() if heard.metrics else nullcontext():
            yield {
                CLOSE_SUBSCRIPTIONS: operations.hub.end,
                REFUSAL_HEADERS: early_headers(origin_policy, heard.observer),
            }
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await operations.close()
        await operations.authenticator.rate_limits.close()
        await store.close()
        if heard.tracing:
            await asyncio.to_thread(heard.tracing.close)

    return lifespan
