from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Final

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.app import serve_store
from gateway.observability.listeners import Listeners
from gateway.observability.metrics import Metrics, MetricsOfWorkers
from gateway.observability.record import RequestRecord
from tests.make import holding
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client import CollectorRegistry, Metric

    from gateway.events.hub import Hub
    from gateway.store.store import Store

PAGE: Final = {"query": "query Newest { threads { nodes { id } } }"}
REQUESTS: Final = "gateway_request_seconds_count"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("127.0.0.1", 0)


@pytest.fixture
async def http(store: Store, hub: Hub, metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(serve_store(store, hub=hub, listeners=Listeners(metrics.count, metrics)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """Give the sum of what has these labels, among others."""
    samples = [sample for family in registry.collect() for sample in family.samples if sample.name == name]
    assert samples, name
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


async def test_requests_are_counted_by_their_route_and_the_class_of_their_status(
    http: httpx.AsyncClient, metrics: Metrics
) -> None:
    for name in ("thread_a", "thread_b"):
        await http.get(f"/v1/threads/{name}")

    route = "/v1/threads/{thread_id}"
    assert value(metrics.registry, REQUESTS, method="GET", route=route, status="4xx", operation="-") == 2


async def test_operations_are_counted_by_their_kind(http: httpx.AsyncClient, metrics: Metrics) -> None:
    await http.post("/graphql", json=PAGE)

    assert value(metrics.registry, REQUESTS, route="/graphql", operation="query", status="2xx") == 1


async def test_statements_and_bytes_are_added_up(http: httpx.AsyncClient, metrics: Metrics) -> None:
    answers = [await http.get("/v1/threads") for _ in range(3)]

    assert value(metrics.registry, "gateway_statements_total") == 3
    assert value(metrics.registry, "gateway_response_bytes_total") == sum(len(each.content) for each in answers)


async def test_no_client_can_make_more_series(http: httpx.AsyncClient, metrics: Metrics) -> None:
    async def ask_strangely(name: str) -> int:
        await http.request(f"X{name}", f"/{name}")
        await http.get(f"/v1/threads/thread_{name}")
        await http.get(f"/v1/threads?{name}={name}", headers={"host": "gateway", name: name})
        await http.post("/graphql", json={"query": f"query {name} {{ threads {{ nodes {{ id }} }} }}"})
        return sum(len(family.samples) for family in metrics.registry.collect())

    first = await ask_strangely("a")

    assert await ask_strangely("b") == first


async def test_connections_of_websockets_are_no_requests(metrics: Metrics) -> None:
    metrics.count(RequestRecord("connection", "req_1", "GET", status=1000, bytes_out=5))
    metrics.count(RequestRecord("operation", "req_1", "GET", status=200))

    assert value(metrics.registry, REQUESTS) == 1
    assert value(metrics.registry, "gateway_response_bytes_total") == 5


async def test_document_lookups_are_counted_as_hits_and_misses(http: httpx.AsyncClient, metrics: Metrics) -> None:
    for _ in range(3):
        await http.post("/graphql", json=PAGE)

    assert value(metrics.registry, "gateway_document_lookups_total", outcome="miss") == 1
    assert value(metrics.registry, "gateway_document_lookups_total", outcome="hit") == 2
    assert value(metrics.registry, "gateway_documents", of="documents") == 1
    assert value(metrics.registry, "gateway_documents", of="bytes") > len(PAGE["query"])


@pytest.mark.usefixtures("http")
async def test_database_connections_have_a_metric_with_their_limit(store: Store, metrics: Metrics) -> None:
    async with holding(store):
        assert value(metrics.registry, "gateway_connections", pool="writer") == 1
    assert value(metrics.registry, "gateway_connections") == 0
    assert value(metrics.registry, "gateway_connections_limit") >= 5


@pytest.mark.usefixtures("http")
async def test_open_subscriptions_have_a_metric(hub: Hub, metrics: Metrics) -> None:
    with hub.on_shutdown(lambda: None), hub.listen(("default", "thread_a")), hub.listen(("default", "thread_a")):
        told = {of: value(metrics.registry, "gateway_followers", of=of) for of in hub.followers()}

    assert told == {"connections": 1, "subscriptions": 2, "threads": 1, "lists": 0}


def test_without_a_free_port_only_the_metrics_are_missing(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()

    with Metrics("127.0.0.1", port).serving(), Metrics("127.0.0.1", port).serving():
        told = httpx.get(f"http://127.0.0.1:{port}/metrics").text

    assert "process_cpu_seconds_total" in list_names(told)
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1


def test_metrics_of_workers_are_one_family_for_each_name_with_the_worker_as_a_label() -> None:
    counted: dict[str, list[Metric] | None] = {}
    for number, paths in (("0", ["/v1/threads"]), ("1", ["/v1/threads", "/v1/threads", "/healthz"])):
        of_one = Metrics("127.0.0.1", 0)
        for route in paths:
            of_one.count(RequestRecord("request", "req_1", "GET", route=route, status=200))
        counted[number] = pickle.loads(pickle.dumps(of_one.collect()))  # noqa: S301  (as a pipe does it)
    counted["2"] = None

    text = generate_latest(MetricsOfWorkers(lambda: counted, lambda: {"0": 0, "1": 0, "2": 5})).decode()

    names = [family.name for family in text_string_to_metric_families(text)]
    read = {
        (sample.name, sample.labels["worker"], sample.labels.get("route")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("le") in (None, "+Inf")
    }
    assert sorted(names) == sorted(set(names))
    assert [read[REQUESTS, worker, "/v1/threads"] for worker in "01"] == [1, 2]
    assert [read["gateway_request_seconds_bucket", worker, "/v1/threads"] for worker in "01"] == [1, 2]
    assert (REQUESTS, "0", "/healthz") not in read
    assert [read["gateway_workers", worker, None] for worker in "012"] == [1, 1, 0]
    assert read["gateway_worker_restarts_total", "2", None] == 5
    assert read["process_resident_memory_bytes", "0", None] > 0


def list_names(text: str) -> set[str]:
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
