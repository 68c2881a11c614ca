"""The composition root: settings to an ASGI application; the only place where the layers are wired.

Must not be here: anything that a layer could do.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any

from starlette.routing import Router

from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import Authenticator
from gateway.auth.build import authenticator_of
from gateway.background import BackgroundTask, BackgroundTasks
from gateway.core import epochs, filling, health
from gateway.core.retention import Retention
from gateway.events.exchange import Exchange
from gateway.events.hub import Hub
from gateway.events.sweep import INTERVAL_S, POLL_S, sweep
from gateway.graphql.execution.operations import Operations
from gateway.graphql.metrics import readings
from gateway.graphql.options import Options, options_of
from gateway.graphql.schema.build import build_schema
from gateway.graphql.transport.explorer import ASSETS, BUILT, Explorer, root
from gateway.graphql.transport.http import URL, GraphQLOverHttp, refuse_at_the_door
from gateway.graphql.transport.websocket import GraphQLOverWebSocket
from gateway.observability.listeners import Listeners, listeners_of
from gateway.rest import openapi, render
from gateway.rest.routes import RestFace
from gateway.runs.models.build import models_of
from gateway.runs.service import Answering, readings_of, runs_of, tasks_of
from gateway.server.app_state import CANCEL_READ, CLOSE_SUBSCRIPTIONS, COLLECT_METRICS, REFUSAL_HEADERS
from gateway.server.carrier import carrier_of
from gateway.server.memory import give_back_large_blocks
from gateway.server.websocket_protocol import allow_long_messages
from gateway.settings.load import load_settings
from gateway.store.engines.base import Timeouts
from gateway.store.store import open_store
from gateway.web.health import Readiness, liveness
from gateway.web.middleware import RequestMiddleware, early_headers
from gateway.web.origins import OriginPolicy, origin_policy_of
from gateway.web.pages import Pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from starlette.types import Lifespan

    from gateway.core import Store
    from gateway.errors import GatewayError
    from gateway.observability.metrics import Reading
    from gateway.runs.service import Runs
    from gateway.settings.table import Settings
    from gateway.web.request import Answer


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a REST request may take, and how much of the disk has to be free."""

    rest_timeout_s: float = 10.0
    min_free_mb: int = 0


def create_app(settings: Settings) -> RequestMiddleware:
    """Make the application; the database is first reached when a request needs it."""
    hub, carrier = Hub(), carrier_of(settings)
    exchange = Exchange(hub, carrier) if carrier else None
    timeouts = Timeouts(
        settings.lock_timeout_s,
        settings.statement_timeout_s,
        settings.idle_transaction_timeout_s,
        settings.keepalive_s,
    )
    store = open_store(settings.database_url, exchange.publish if exchange else hub.wake, timeouts)
    retention = Retention(store, settings.retention_days) if settings.retention_days else None
    return serve_store(
        store,
        options_of(settings),
        hub=hub,
        background=hints_from_others(store, hub, exchange, settings.workers),
        retention=retention,
        origin_policy=origin_policy_of(settings),
        authenticator=authenticator_of(settings, ApiKeyCache(store)),
        listeners=listeners_of(settings),
        answering=answering_of(settings),
        limits=Limits(settings.rest_timeout_s, settings.min_free_mb),
    )


def answering_of(settings: Settings) -> Answering | None:
    """Return the models that answer runs; None where none is set."""
    models = models_of(settings)
    return None if models is None else Answering(models, settings.shutdown_s)


def create_app_from_environment() -> RequestMiddleware:
    """Make the application in a process that `gateway serve` has started."""
    give_back_large_blocks()
    logging.captureWarnings(True)  # otherwise Python writes them as text, between the lines of the log
    return create_app(load_settings())


def refuse(path: str, error: GatewayError) -> Answer:
    """Return an error in the format of the face that was requested."""
    return refuse_at_the_door(error) if path == URL else render.error(error)


def hints_from_others(store: Store, hub: Hub, exchange: Exchange | None, workers: int) -> list[BackgroundTask]:
    """Return the tasks that detect changes by other processes on the same database."""
    sweeping = partial(sweep, hub, store.last_positions, changed_owners=store.changed_owners)
    if exchange is not None:
        return [
            BackgroundTask("listening", exchange.run, lambda: exchange.is_listening),
            BackgroundTask("sweeping", sweeping),
        ]
    interval_s = INTERVAL_S if workers == 1 else POLL_S  # with one server only commands are other writers
    return [BackgroundTask("sweeping", partial(sweeping, version=store.data_version, interval_s=interval_s))]


def serve_store(  # noqa: PLR0913  (each is a part of the application, with its default)
    store: Store,
    options: Options | None = None,
    graphiql: Path = BUILT,
    *,
    hub: Hub | None = None,
    background: Sequence[BackgroundTask] = (),
    origin_policy: OriginPolicy | None = None,
    authenticator: Authenticator | None = None,
    listeners: Listeners | None = None,
    answering: Answering | None = None,
    limits: Limits | None = None,
    retention: Retention | None = None,
) -> RequestMiddleware:
    """Make the application over an open store, which it closes when it ends: the one callable for users and tests.

    `graphiql` is the folder of the built GraphiQL. `hub` gets the changes of the store, and from `background` those of
    others. Without an `authenticator` every request is accepted, without `listeners` none is logged, and without
    `answering` there are no runs.
    """
    options, heard, hub = options or Options(), listeners or Listeners(), hub or Hub()
    policy, authenticator = origin_policy or OriginPolicy(), authenticator or Authenticator()
    runs, limits = runs_of(store, hub, authenticator.rate_limits, answering, heard.run_tracer), limits or Limits()
    explorer, rest = Explorer(graphiql), RestFace(store, authenticator, limits.rest_timeout_s, runs)
    operations = Operations(_schema(), store, hub, options, authenticator, runs=runs)
    graphql = GraphQLOverHttp(operations, explorer.page, policy)
    keeping, kept = ([BackgroundTask("retention", retention.run)], [retention.readings]) if retention else ([], [])
    tasks = BackgroundTasks([*background, *_own_tasks(store, hub, authenticator), *tasks_of(runs), *keeping])
    pages = _pages(operations, store, explorer, tasks, min_free_mb=limits.min_free_mb)
    _observe(store, heard, [partial(readings, store, operations), tasks.readings, partial(readings_of, runs), *kept])
    return RequestMiddleware(
        lambda request: graphql.find(request) or rest.find(request) or pages.find(request),
        refuse=refuse,
        crashed=render.crash,
        lifespan=Router(lifespan=_lifespan(operations, store, tasks, heard, runs, rest=rest, origin_policy=policy)),
        origin_policy=policy,
        observer=heard.observer,
        tracer=heard.tracer,
        sockets={URL: GraphQLOverWebSocket(operations, policy, heard.observer, heard.tracer, allow_long_messages)},
    )


def _schema() -> Any:
    # Strawberry has no public name for the schema that graphql-core executes.
    return build_schema()._schema  # noqa: SLF001


def _observe(store: Store, heard: Listeners, sources: Sequence[Callable[[], list[Reading]]]) -> None:
    if heard.tracing:
        store.watch(heard.tracing.statement)
    if heard.metrics:
        heard.metrics.watch([reading for source in sources for reading in source()])


def _own_tasks(store: Store, hub: Hub, authenticator: Authenticator) -> Iterator[BackgroundTask]:
    """List the background tasks of any application."""
    runs = {
        **authenticator.background_tasks(),
        "checking_epoch": lambda: epochs.watch(store, hub),
        "checking_database": lambda: health.watch_database(store),
        "removing_unfinished": lambda: filling.watch(store),
    }
    return starmap(BackgroundTask, runs.items())


def _pages(
    operations: Operations, store: Store, explorer: Explorer, background: BackgroundTasks, *, min_free_mb: int
) -> Pages:
    """Make the pages that are served beside the faces."""
    failures = partial(health.failures, store, min_free_mb)
    readiness = Readiness(failures, lambda: operations.hub.is_ending, background.working)
    return Pages(
        {
            "/": root(has_page=operations.options.graphiql),
            "/healthz": liveness,
            "/readyz": readiness.answer,
            ASSETS: explorer.asset,
            openapi.URL: openapi.describe,
        }
    )


def _lifespan(
    operations: Operations,
    store: Store,
    background: BackgroundTasks,
    heard: Listeners,
    runs: Runs | None,
    *,
    rest: RestFace,
    origin_policy: OriginPolicy,
) -> Lifespan[Router]:
    """Run the background tasks while requests are served, and close everything after the last one."""

    def end_subscriptions() -> None:
        operations.hub.end()
        if runs is not None:
            runs.worker.stop()

    def cancel_read(task: asyncio.Task[Any]) -> None:
        rest.leave(task)
        operations.runner.leave(task)

    @asynccontextmanager
    async def lifespan(_app: Router) -> AsyncIterator[dict[str, Any]]:
        async with background.running():
            with heard.metrics.serving() if heard.metrics else nullcontext():
                yield {
                    CANCEL_READ: cancel_read,
                    CLOSE_SUBSCRIPTIONS: end_subscriptions,
                    REFUSAL_HEADERS: early_headers(origin_policy, heard.observer),
                    **({COLLECT_METRICS: heard.metrics.collect} if heard.metrics else {}),
                }
            if runs is not None:
                await runs.close()
        await operations.runner.close()
        await operations.authenticator.rate_limits.close()
        await store.close()
        if heard.tracing:
            await asyncio.to_thread(heard.tracing.close)

    return lifespan
