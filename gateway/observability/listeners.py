"""The listeners that each request is reported to, by the settings: the log, metrics and traces.

Must not be here: what they are made of (`log`, `metrics`, `tracing`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.observability.log import request_log
from gateway.observability.record import no_observer, no_tracer
from gateway.settings.load import wants_traces

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from gateway.observability.metrics import Metrics
    from gateway.observability.record import Observer, RequestRecord, Tracer
    from gateway.observability.tracing import Tracing
    from gateway.settings.table import Settings

log: Final = logging.getLogger(__name__)


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

    @property
    def run_tracer(self) -> Callable[[str, str], AbstractContextManager[None]] | None:
        """What the answer of a run is wrapped in."""
        return self.tracing.run if self.tracing else None


def listeners_of(settings: Settings) -> Listeners:
    """Make the listeners: the log, and where they are enabled metrics and traces."""
    write, tracing = request_log(), tracing_if_wanted()
    if not settings.metrics_port:
        return Listeners(write, tracing=tracing)
    from gateway.observability.metrics import Metrics  # noqa: PLC0415  (loaded only if enabled)

    # The process that supervises several workers serves the metrics of all.
    metrics = Metrics(settings.host, settings.metrics_port if settings.workers == 1 else 0)

    def observe(record: RequestRecord) -> None:
        write(record)
        metrics.count(record)

    return Listeners(observe, metrics, tracing)


def tracing_if_wanted() -> Tracing | None:
    """Make the tracer, if OpenTelemetry's variables enable it and it is installed."""
    if not wants_traces():
        return None
    try:
        from gateway.observability.tracing import to_collector  # noqa: PLC0415  (OpenTelemetry is an extra)
    except ModuleNotFoundError:  # such variables are often set for all programs of a machine
        log.warning("no traces are made: pip install 'threads-gateway[otel]'")
        return None
    return to_collector()
