"""OpenTelemetry traces: a span for each request, the execution of its operations, each statement and answer of a run.

Never in it: message content. So the spans are made here from records, and not by instrumentation libraries, which
record query strings and database errors that repeat rows.
Imported only if traces are enabled, since OpenTelemetry is an extra.
Must not be here: when spans begin (`record.span`, `web.middleware`, `store.engines`).
Source: OpenTelemetry semantic conventions for HTTP, database and GraphQL spans; W3C Trace Context.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.observability.record import PARENT, PROBES, UNKNOWN, RequestRecord, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

    from gateway.observability.record import AsgiScope

_FIRST_FAULT: Final = 500  # lower statuses are errors of the client
_LONGEST_STATEMENT: Final = 2_000  # a statement of a hundred pages has twenty times that


class Tracing:
    """The spans of one process, until `close`."""

    def __init__(self, processor: SpanProcessor) -> None:
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override our name.
        resource = Resource.create({"service.name": "threads-gateway"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("gateway")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def trace(self, record: RequestRecord, scope: AsgiScope) -> Iterator[None]:
        """Trace a request, or an operation on a WebSocket, within the block.

        WebSockets have no span, since they last for hours and their operations have their own; probes have none either.
        """
        if record.kind == "connection" or scope["path"] in PROBES:
            yield
            return
        sent = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in PARENT}
        with self._tracer.start_as_current_span(
            record.method,
            self._propagator.extract(sent),
            SpanKind.SERVER,
            {"url.scheme": scope["scheme"]},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            record.trace = Trace(format_trace_id(span.get_span_context().trace_id), self._spans_within(record))
            try:
                yield
            finally:
                _end_request_span(span, record)

    def run(self, run_id: str, model: str) -> AbstractContextManager[None]:
        """Trace the answer of a run within the block, with its statements; it is not part of a request.

        Source: OpenTelemetry semantic conventions for generative AI spans.
        """
        known = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, "gateway.run_id": run_id}
        return self._span(f"chat {model}", known, SpanKind.CLIENT)

    def statement(self, database: str, text: str) -> Callable[[BaseException | None], None] | None:
        """Begin the span of a statement as a child of the current one; the returned function ends it."""
        if not get_current_span().is_recording():
            return None
        operation = text.split(maxsplit=1)[0]
        span = self._tracer.start_span(
            operation,
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": database,
                "db.operation.name": operation,
                "db.query.text": text[:_LONGEST_STATEMENT],  # without its parameter values
            },
        )

        def end(error: BaseException | None) -> None:
            if error is not None:
                _mark_failed(span, type(error).__qualname__)
            span.end()

        return end

    def close(self) -> None:
        """Flush; an unavailable collector delays this by OTEL_EXPORTER_OTLP_TIMEOUT, 10 s by default."""
        self._provider.shutdown()

    def _spans_within(self, record: RequestRecord) -> Callable[[str], AbstractContextManager[object]]:
        return lambda name: self._span(name, _operation(record))

    @contextmanager
    def _span(self, name: str, attributes: Mapping[str, str], kind: SpanKind = SpanKind.INTERNAL) -> Iterator[None]:
        """Trace what is done within the block, as a child of the current span."""
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                _mark_failed(span, type(error).__qualname__)
                raise


def to_collector() -> Tracing:
    """Export spans by OTLP over HTTP to OTEL_EXPORTER_OTLP_ENDPOINT, in batches and in a thread."""
    return Tracing(BatchSpanProcessor(OTLPSpanExporter()))


def _end_request_span(span: Span, record: RequestRecord) -> None:
    is_routed = record.route != UNKNOWN
    method, word = ("_OTHER", "HTTP") if record.method == "OTHER" else (record.method, record.method)
    by_route = f"{word} {record.route}" if is_routed else word
    span.update_name(by_route if record.operation == UNKNOWN else record.operation)
    span.set_attributes(
        {
            "gateway.request_id": record.request_id,
            "http.request.method": method,
            "http.response.status_code": record.status,
            # The path itself holds IDs and other input of clients.
            **({"http.route": record.route, "url.path": record.route} if is_routed else {}),
            **_operation(record),
        }
    )
    if record.status >= _FIRST_FAULT:
        _mark_failed(span, str(record.status))


def _operation(record: RequestRecord) -> dict[str, str]:
    known = {"graphql.operation.type": record.operation_type, "graphql.operation.name": record.operation_name}
    return {name: value for name, value in known.items() if value != UNKNOWN}


def _mark_failed(span: Span, kind: str) -> None:
    """Mark a span as failed by the type of the error only; its message may repeat input."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
