"""What Prometheus reads: how many requests, how long, how much of everything is in use.

Labels are taken from fixed sets (a route's template, the kind of an operation, the class of a status), so that no
client can make more series. Each process counts for itself and has a port of its own.
Must not be here: where the numbers come from (`facts`, and what is given to `Metrics`).
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client import Metric

    from gateway.facts import Facts

log: Final = logging.getLogger(__name__)

_LABELS: Final = ("kind", "method", "route", "operation", "status")
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Reading:
    """One number that is looked up whenever somebody asks, or several that differ in one label."""

    name: str
    told: str
    read: Callable[[], Mapping[str, float]]
    label: str
    is_counter: bool = False


class Metrics:
    """The metrics of one process, for who asks on one of some ports."""

    def __init__(self, host: str, ports: range) -> None:
        self._host = host
        self._ports = ports
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._seconds = Histogram(
            "gateway_request_seconds",
            "How long requests and operations on WebSockets took, and how many there were",
            _LABELS,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._counted: dict[tuple[str, ...], Histogram] = {}  # the library's own look-up takes a lock
        self._statements = Counter(
            "gateway_statements", "Statements that requests have sent to the database", registry=self.registry
        )
        self._bytes = Counter("gateway_response_bytes", "Bytes of bodies that were answered", registry=self.registry)

    def count(self, facts: Facts) -> None:
        """Take in what is known of a request that has ended; connections last too long to be of use here."""
        self._statements.inc(facts.statements)
        self._bytes.inc(facts.bytes_out)
        if facts.kind != "connection":
            status = f"{facts.status // 100}xx"
            labels = (facts.kind, facts.method, facts.route, facts.operation_type, status)
            counted = self._counted.get(labels)
            if counted is None:
                counted = self._counted[labels] = self._seconds.labels(*labels)
            counted.observe(facts.seconds)

    def watch(self, readings: Iterable[Reading]) -> None:
        """Also tell what is looked up whenever somebody asks."""
        self.registry.register(_Looker(tuple(readings)))

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer on the first free port for as long as the block, in a thread of its own.

        Without a free port nobody is told anything, and requests are served all the same.
        """
        for port in self._ports:
            try:
                server, thread = start_http_server(port, self._host, self.registry)
            except OSError:
                continue
            log.info("metrics are told on port %d", port)
            try:
                yield
            finally:
                server.shutdown()
                server.server_close()
                thread.join()
            return
        log.error("metrics are not told: no port is free of %s", list(self._ports))
        yield


@dataclass(frozen=True, slots=True)
class _Looker:
    readings: tuple[Reading, ...]

    def collect(self) -> Iterator[Metric]:
        for each in self.readings:
            family = CounterMetricFamily if each.is_counter else GaugeMetricFamily
            metric = family(each.name, each.told, labels=[each.label])
            for value, number in each.read().items():
                metric.add_metric([value], number)
            yield metric
