"""What is known of the request that runs: who sent it, what it asks for, what it has taken. For the log and metrics.

Never in it: what a person wrote. A route is the template and not the path, an operation its name and not its text.
Must not be here: what is made of the record (`logs`, `observability.metrics`, `tracing`).
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from contextlib import AbstractContextManager

    Observer = Callable[["RequestRecord"], None]
    AsgiScope = MutableMapping[str, Any]
    Tracer = Callable[
        ["RequestRecord", AsgiScope], AbstractContextManager[object]
    ]  # while that runs of which the record are

SCOPE: Final = "gateway.record"  # where the scope of a request keeps them
UNKNOWN: Final = "-"
PARENT: Final = frozenset({b"traceparent", b"tracestate"})  # W3C "Trace Context": the headers that name a trace
PROBES: Final = frozenset({"/healthz", "/readyz"})  # asked so often that they are told of only when they fail
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many requests the caller may send in a time, how many of them are left, and when there are more again."""

    limit: int
    remaining: int
    reset_s: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace that a request is part of, and how a step of it is followed, by its name, while a block runs."""

    id: str
    span: Callable[[str], AbstractContextManager[object]]


@dataclass(slots=True)
class RequestRecord:
    """One HTTP request, one WebSocket, or one operation on a WebSocket; filled in by whoever finds something out.

    `address` is the client's, as proxies that are trusted give it. `status` is a WebSocket's close code, and for an
    operation what HTTP would have answered.
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
        """The GraphQL operation in words, as `query Newest`."""
        if self.operation_name == UNKNOWN:
            return self.operation_type
        return f"{self.operation_type} {self.operation_name}"

    def name_operation(self, operation_type: str, name: str | None) -> None:
        """Note which GraphQL operation it is; a client may give it a name of any length."""
        self.operation_type = operation_type
        self.operation_name = name[:_LONGEST_NAME] if name else UNKNOWN

    def end(self) -> None:
        """Stop the clock."""
        self.seconds = time.perf_counter() - self._started


# For those who are asked deep inside, and know of no request: the store counts its statements here.
current: Final[ContextVar[RequestRecord | None]] = ContextVar("request_record", default=None)


_NO_SPAN: Final = nullcontext()


def span(name: str) -> AbstractContextManager[object]:
    """Let a step of the request that runs be seen in its trace, where there is one."""
    record = current.get()
    return record.trace.span(name) if record and record.trace else _NO_SPAN


def no_observer(_facts: RequestRecord) -> None:
    """Keep no log, as tests and other programs that bring their own do."""


def no_tracer(_facts: RequestRecord, _scope: AsgiScope) -> AbstractContextManager[object]:
    """Make no traces."""
    return _NO_SPAN
