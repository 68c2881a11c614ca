"""What OpenTelemetry sees of requests, and when it is asked to."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gateway.app import serve_store
from gateway.domain.principal import Principal, Reach
from gateway.domain.run import RunStatus
from gateway.observability.listeners import Listeners, tracing_if_wanted
from gateway.observability.record import RequestRecord
from gateway.observability.tracing import Tracing
from gateway.settings.load import wants_traces
from gateway.store.store import open_store
from tests.following import PATIENCE_S, make_thread, say
from tests.live.inside import serving_inside
from tests.live.subscribing import ADDED, socket_to
from tests.runs.scripted import Scripted, says
from tests.runs.test_worker import a_worker, make_run, until, working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.sdk.trace import ReadableSpan

    from gateway.store.store import Store

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
CALLER: Final = "b7ad6b7169203331"
FROM_A_TRACE: Final = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
SCOPE: Final = {"path": "/", "scheme": "http", "headers": [(b"traceparent", FROM_A_TRACE["traceparent"].encode())]}
NEWEST: Final = "query Newest { threads { nodes { id } } }"
WHO: Final = Principal(Reach("default"))


class Seen(InMemorySpanExporter):
    """The spans that have ended."""

    def names(self) -> list[str]:
        """Name them in the order in which they began."""
        return [span.name for span in self.in_order()]

    def in_order(self) -> list[ReadableSpan]:
        return sorted(self.get_finished_spans(), key=lambda span: span.start_time or 0)

    def tree(self) -> list[Any]:
        """Return them as names, each followed by the list of those below it where there are any."""
        spans = self.in_order()
        ids = {span.context.span_id for span in spans if span.context}

        def below(span_id: int | None) -> list[Any]:
            own = [each for each in spans if (each.parent.span_id if each.parent else None) == span_id]
            return [part for each in own for part in (each.name, below(each.context.span_id)) if part]

        outside = {each.parent.span_id if each.parent else None for each in spans} - ids
        return [part for each in outside for part in below(each)]

    def server(self) -> ReadableSpan:
        """Give the one span of a request."""
        [span] = [each for each in self.get_finished_spans() if each.kind is SpanKind.SERVER]
        return span


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def listeners(seen: Seen) -> Listeners:
    return Listeners(tracing=Tracing(SimpleSpanProcessor(seen)))


@pytest.fixture
async def own_store(database_url: str) -> AsyncIterator[Store]:
    """Open a store that no other test shares, since its statements are watched for good."""
    opened = open_store(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def http(own_store: Store, listeners: Listeners) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(serve_store(own_store, listeners=listeners))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_a_call_is_a_span_with_its_statements_below_it(http: httpx.AsyncClient, seen: Seen) -> None:
    await http.get("/v1/threads/thread_nobody?api_key=secret")

    [statement] = [each for each in seen.in_order() if each.kind is SpanKind.CLIENT]
    assert seen.tree() == ["GET /v1/threads/{thread_id}", ["SELECT"]]
    assert statement.attributes is not None
    assert statement.attributes["db.system.name"] in {"sqlite", "postgresql"}
    assert str(statement.attributes["db.query.text"]).startswith("SELECT")
    assert "thread_nobody" not in str(statement.attributes)


async def test_an_answer_of_a_run_is_a_span_without_its_texts(own_store: Store, seen: Seen) -> None:
    tracing = Tracing(SimpleSpanProcessor(seen))
    run = await make_run(own_store)

    async with working(a_worker(own_store, Scripted([says("A secret")]), trace=tracing.run)):
        await until(own_store, run, RunStatus.COMPLETED)

    [span] = seen.get_finished_spans()
    assert (span.name, span.kind) == ("chat m", SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gateway.run_id": run.id,
    }


async def test_a_request_span_has_the_route_and_never_the_url(http: httpx.AsyncClient, seen: Seen) -> None:
    answer = await http.get("/v1/threads/thread_nobody?api_key=secret")

    assert dict(seen.server().attributes or {}) == {
        "gateway.request_id": answer.headers["x-request-id"],
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "http.route": "/v1/threads/{thread_id}",
        "url.path": "/v1/threads/{thread_id}",
        "url.scheme": "http",
    }


async def test_a_request_continues_the_trace_of_its_caller(http: httpx.AsyncClient, seen: Seen) -> None:
    await http.get("/v1/threads", headers=FROM_A_TRACE)

    span = seen.server()
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, CALLER)


@pytest.mark.parametrize("sent", [{}, {"traceparent": "00-nothing"}], ids=["none", "a wrong one"])
async def test_a_request_without_a_trace_starts_one(http: httpx.AsyncClient, seen: Seen, sent: dict[str, str]) -> None:
    await http.get("/v1/threads", headers=sent)

    assert seen.server().parent is None


async def test_a_query_is_a_span_by_its_name_with_its_execution_and_statements_below(
    http: httpx.AsyncClient, seen: Seen
) -> None:
    await http.post("/graphql", json={"query": NEWEST})

    attributes = seen.server().attributes or {}
    assert seen.tree() == ["query Newest", ["graphql.execute", ["SELECT"]]]
    assert (attributes["graphql.operation.type"], attributes["graphql.operation.name"]) == ("query", "Newest")


async def test_concurrent_requests_record_their_own_statements(http: httpx.AsyncClient, seen: Seen) -> None:
    await asyncio.gather(*(http.get("/v1/threads") for _ in range(3)))

    assert seen.tree() == ["GET /v1/threads", ["SELECT"]] * 3


async def test_the_span_of_an_unknown_path_is_named_by_its_method(http: httpx.AsyncClient, seen: Seen) -> None:
    await http.request("BREW", "/coffee")

    attributes = seen.server().attributes or {}
    assert seen.server().name == "HTTP"
    assert attributes["http.request.method"] == "_OTHER"
    assert "url.path" not in attributes


async def test_client_errors_are_not_logged_as_failures(http: httpx.AsyncClient, seen: Seen) -> None:
    await http.get("/v1/threads?limit=0")

    assert seen.server().status.status_code is StatusCode.UNSET


async def test_a_failed_span_holds_the_error_type_and_no_message(
    http: httpx.AsyncClient, seen: Seen, own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("hush")

    monkeypatch.setattr(own_store, "read", fail)
    await http.get("/v1/threads")

    span = seen.server()
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())
    assert (span.attributes or {})["error.type"] == "500"


async def test_a_failed_statement_is_a_failed_span_with_the_error_type(
    empty_database_url: str, seen: Seen, listeners: Listeners
) -> None:
    store = open_store(empty_database_url)
    transport = httpx.ASGITransport(serve_store(store, listeners=listeners))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        await http.get("/v1/threads")
    await store.close()

    [statement] = [each for each in seen.in_order() if each.kind is SpanKind.CLIENT]
    assert (statement.status.status_code, statement.status.description) == (StatusCode.ERROR, None)
    assert str((statement.attributes or {})["error.type"]).endswith("Error")


async def test_a_refused_execution_is_recorded(http: httpx.AsyncClient, seen: Seen) -> None:
    await http.post(
        "/graphql", json={"query": "{ threads(first: 100) { nodes { messages(first: 100) { nodes { id } } } } }"}
    )

    [execution] = [each for each in seen.in_order() if each.name == "graphql.execute"]
    assert (execution.attributes or {})["error.type"] == "Refused"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_probe_has_no_span(http: httpx.AsyncClient, seen: Seen, path: str) -> None:
    await http.get(path)

    assert seen.names() == []


async def test_a_subscription_is_one_span_for_its_whole_duration(
    database_url: str, seen: Seen, listeners: Listeners
) -> None:
    async with serving_inside(database_url, listeners=listeners) as inside:
        thread_id = await make_thread(inside.store, WHO)
        async with socket_to(inside.base_url, additional_headers=FROM_A_TRACE) as socket:
            await say(inside.store, WHO, thread_id, "Hello")
            await socket.subscribe(ADDED, threadId=thread_id, after="0")
            await socket.texts(1)
            running = seen.names()
            await socket.subscribe(NEWEST, "2")
            await socket.receive()
            await socket.receive()

    assert "subscription" not in running
    assert sorted(name for name in seen.names() if name != "SELECT") == [
        "graphql.execute",
        "graphql.subscribe",
        "query Newest",
        "subscription",
    ]
    requests = [each for each in seen.in_order() if each.kind is SpanKind.SERVER]
    assert [f"{each.context.trace_id:032x}" for each in requests if each.context] == [TRACE, TRACE]
    assert [f"{each.parent.span_id:016x}" for each in requests if each.parent] == [CALLER, CALLER]


async def test_pending_responses_are_sent_before_a_server_stops(sqlite_url: str, seen: Seen) -> None:
    tracing = Tracing(BatchSpanProcessor(seen, schedule_delay_millis=3_600_000))
    async with serving_inside(sqlite_url, listeners=Listeners(tracing=tracing)) as inside:
        async with httpx.AsyncClient(base_url=inside.base_url, timeout=PATIENCE_S) as http:
            await http.get("/v1/threads")
        waiting = seen.names()

    assert waiting == []
    assert seen.tree() == ["GET /v1/threads", ["SELECT"]]


def test_the_record_of_a_request_has_its_trace_id(seen: Seen) -> None:
    record = RequestRecord("request", "req_1", "GET")

    with Tracing(SimpleSpanProcessor(seen)).trace(record, SCOPE):
        pass

    assert record.trace is not None
    assert record.trace.id == TRACE


@pytest.mark.parametrize(("given", "name"), [({}, "threads-gateway"), ({"OTEL_SERVICE_NAME": "ours"}, "ours")])
def test_a_service_has_our_name_unless_it_is_given_another(
    monkeypatch: pytest.MonkeyPatch, seen: Seen, given: dict[str, str], name: str
) -> None:
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)

    with Tracing(SimpleSpanProcessor(seen)).trace(RequestRecord("request", "req_1", "GET"), SCOPE):
        pass

    assert seen.server().resource.attributes["service.name"] == name


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"ENDPOINT": "http://collector:4318"}, id="a collector"),
        pytest.param({"TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, id="one for traces"),
    ],
)
def test_traces_are_exported_if_opentelemetry_variables_name_an_endpoint(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)

    assert wants_traces()


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="nowhere to"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, id="an empty address"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "True"}, id="switched off"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, id="no traces"),
    ],
)
def test_no_traces_are_made_where_opentelemetrys_variables_do_not_ask_for_them(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert not wants_traces()


def test_without_opentelemetry_installed_traces_are_off_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.delitem(sys.modules, "gateway.observability.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    assert tracing_if_wanted() is None
    assert "threads-gateway[otel]" in caplog.text
