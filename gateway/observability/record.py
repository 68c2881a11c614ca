"""The record of the current request, for the log, metrics and traces: its caller, its operation, its costs.

Never in it: message content. A route is the template and not the path, an operation its name and not its text.
Must not be here: the log, metrics and traces themselves (`log`, `metrics`, `tracing`).
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from contextlib import AbstractContextManager

    Observer = Callable[["RequestRecord"], None]
    AsgiScope = MutableMapping[str, Any]
    Tracer = Callable[["RequestRecord", AsgiScope], AbstractContextManager[object]]  # wraps the handling of a request

SCOPE: Final = "gateway.record"  # the key of the record in an ASGI scope
UNKNOWN: Final = "-"
PARENT: Final = frozenset({b"traceparent", b"tracestate"})  # W3C "Trace Context": the headers that name a trace
PROBES: Final = frozenset({"/healthz", "/readyz"})  # so frequent that only failures are logged
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Allowance:
    """The state of the caller's rate limit: the limit, what is left, and the seconds until it resets."""

    limit: int
    remaining: int
    reset_s: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of a request; `span` opens a child span by its name for a block."""

    id: str
    span: Callable[[str], AbstractContextManager[object]]


@dataclass(slots=True)
class RequestRecord:
    """One HTTP request, one WebSocket, or one operation on a WebSocket; filled in while it is handled.

    `address` is the client's, as trusted proxies give it. `status` is the close code of a WebSocket, and for an
    operation the status that HTTP would have.
    """

    kind: Literal["request", "connection", "operation"]
    request_id: str
    method: str
    route: str = UNKNOWN
    address: str = UNKNOWN
    principal: str = UNKNOWN
    operation_type: str = UNKNOWN
    operation_name: str = UNKNOWN
    status: int = 0
    statements: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    allowance: Allowance | None = None
    trace: Trace | None = None
    _started: float = field(default_factory=time.perf_counter)

    @property
    def operation(self) -> str:
        """The type and name of the GraphQL operation, as `query Newest`."""
        if self.operation_name == UNKNOWN:
            return self.operation_type
        return f"{self.operation_type} {self.operation_name}"

    def name_operation(self, operation_type: str, name: str | None) -> None:
        """Set the GraphQL operation; a client may give it a name of any length."""
        self.operation_type = operation_type
        self.operation_name = name[:_LONGEST_NAME] if name else UNKNOWN

    def end(self) -> None:
        """Stop the clock."""
        self.seconds = time.perf_counter() - self._started


# For code that knows no request: the store counts its statements here.
current: Final[ContextVar[RequestRecord | None]] = ContextVar("request_record", default=None)


class _Nothing:
    """A context manager that does nothing: `nullcontext` calls two functions of Python, this one two of C."""

    __slots__ = ()
    __enter__ = __exit__ = "".format  # takes any arguments, and returns a false value


NOTHING: Final = cast("AbstractContextManager[object]", _Nothing())


def span(name: str) -> AbstractContextManager[object]:
    """Open a span in the trace of the current request, if there is one."""
    record = current.get()
    return record.trace.span(name) if record and record.trace else NOTHING


def no_observer(_facts: RequestRecord) -> None:
    """Observe nothing."""


def no_tracer(_facts: RequestRecord, _scope: AsgiScope) -> AbstractContextManager[object]:
    """Trace nothing."""
    return NOTHING
