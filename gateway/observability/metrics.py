"""The Prometheus metrics and their endpoint.

Labels have fixed sets of values (route templates, kinds of operations, classes of statuses), so that no client can
create more series. Each process counts for itself; those of several workers are served together.
Must not be here: where the numbers come from (`record`, and the readings given to `Metrics`).
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from prometheus_client.registry import Collector

    from gateway.observability.record import RequestRecord

log: Final = logging.getLogger(__name__)

_LABELS: Final = ("kind", "method", "route", "operation", "status")
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric that is read at each scrape; it may have several values by one label."""

    name: str
    help: str
    read: Callable[[], Mapping[str, float]]
    label: str
    is_counter: bool = False


class Metrics:
    """The metrics of one process, served on a port of their own; 0 is none."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._counts = _Counts()
        self.registry.register(self._counts)

    def count(self, record: RequestRecord) -> None:
        """Count a request that has ended; WebSocket connections last too long for these histograms."""
        counts = self._counts
        counts.statements += record.statements
        counts.bytes_out += record.bytes_out
        if record.kind != "connection":
            labels = (record.kind, record.method, record.route, record.operation_type, record.status // 100)
            series = counts.series.get(labels)
            if series is None:
                series = counts.series[labels] = _Series()
            series.seconds += record.seconds
            series.within[bisect_left(_SECONDS, record.seconds)] += 1

    def watch(self, readings: Iterable[Reading]) -> None:
        """Register metrics that are read at each scrape."""
        self.registry.register(_Readings(tuple(readings)))

    def collect(self) -> list[Metric]:
        """Return what has been counted, in objects that another process can be sent."""
        return list(self.registry.collect())

    def serving(self) -> AbstractContextManager[None]:
        """Serve the metrics within the block."""
        return serving(self._host, self._port, self.registry) if self._port else nullcontext()


@contextmanager
def serving(host: str, port: int, registry: Collector) -> Iterator[None]:
    """Serve metrics within the block, in a separate thread.

    Without a free port only the metrics are missing; requests are served as usual.
    """
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        log.error("Prometheus metrics are not served on port %d: %s", port, error.strerror)  # noqa: TRY400
        yield
        return
    log.info("Prometheus metrics are served on port %d", port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True, slots=True)
class MetricsOfWorkers:
    """The metrics of several processes, each with the label `worker`, and how often each process was replaced."""

    read: Callable[[], Mapping[str, list[Metric] | None]]
    restarts: Callable[[], Mapping[str, int]]

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of all processes that answer, in one family for each name."""
        counted = self.read()
        up = GaugeMetricFamily("gateway_workers", "Server processes: 1 if it answers, 0 if not", labels=["worker"])
        families: dict[str, Metric] = {up.name: up}
        for worker, metrics in counted.items():
            up.add_metric([worker], metrics is not None)
            for each in metrics or ():
                family = families.setdefault(each.name, Metric(each.name, each.documentation, each.type, each.unit))
                family.samples += [one._replace(labels={**one.labels, "worker": worker}) for one in each.samples]
        yield from families.values()
        text = "How often a server process was replaced after it had ended or did not answer"
        restarts = CounterMetricFamily("gateway_worker_restarts", text, labels=["worker"])
        for worker, number in self.restarts().items():
            restarts.add_metric([worker], number)
        yield restarts


@dataclass(slots=True)
class _Series:
    """A histogram: the number of values in each bucket of _SECONDS, and their sum."""

    within: list[int] = field(default_factory=lambda: [0] * (len(_SECONDS) + 1))
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class _Counts:
    """The counters of requests, written by one thread without locks, unlike those of the library.

    A scrape meanwhile may see a request in one number and not yet in another.
    """

    series: dict[tuple[Any, ...], _Series] = field(default_factory=dict)
    statements: int = 0
    bytes_out: int = 0

    def collect(self) -> Iterator[Metric]:
        """Return the metrics in the format of the library."""
        text = "Duration of requests and of operations on WebSockets in seconds"
        seconds = HistogramMetricFamily("gateway_request_seconds", text, labels=_LABELS)
        for (*labels, status), series in list(self.series.items()):
            buckets = list(zip([*map(floatToGoString, _SECONDS), "+Inf"], accumulate(series.within), strict=True))
            seconds.add_metric([*labels, f"{status}xx"], buckets, series.seconds)
        yield seconds
        text = "SQL statements that requests sent to the database"
        yield CounterMetricFamily("gateway_statements", text, self.statements)
        yield CounterMetricFamily("gateway_response_bytes", "Bytes of response bodies", self.bytes_out)


@dataclass(frozen=True, slots=True)
class _Readings:
    readings: tuple[Reading, ...]

    def collect(self) -> Iterator[Metric]:
        for each in self.readings:
            family = CounterMetricFamily if each.is_counter else GaugeMetricFamily
            metric = family(each.name, each.help, labels=[each.label])
            for value, number in each.read().items():
                metric.add_metric([value], number)
            yield metric
