"""What one answer comes to: its data is written once, for whatever transport, and held against the bounds.

Must not be here: how an execution is stopped before (`fast_executor.meter`).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from graphql import ExecutionResult

from gateway.domain import bounds
from gateway.errors import AnswerTooLarge
from gateway.fast_executor import Meter
from gateway.graphql.errors import cause_of
from gateway.graphql.refusal import Stage, refusal

if TYPE_CHECKING:
    from gateway.graphql.refusal import Refused

_OBJECTS: Final = bounds.ANSWER_OBJECTS.number
_BYTES: Final = bounds.ANSWER_BYTES.number
# A text as JSON, or the beginning of an object.
_TEXT_OR_OBJECT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|\{')


def meter(timeout_s: float) -> Meter:
    """Make the meter of an execution that begins now."""
    return Meter(_OBJECTS, _BYTES, time.monotonic() + timeout_s)


def bounded(result: ExecutionResult, meter: Meter, object_bytes: int) -> ExecutionResult | None:
    """Write the data of a result, in which an object takes so many bytes; None where it is more than one may be."""
    if meter.stopped_by == "size" or any(isinstance(cause_of(each), AnswerTooLarge) for each in result.errors or ()):
        return None
    if result.data is None:
        return result
    written = orjson.dumps(result.data)
    if len(written) > _BYTES or _has_too_many_objects(written, object_bytes):
        return None
    return ExecutionResult(cast("Any", orjson.Fragment(written)), result.errors)


def _has_too_many_objects(written: bytes, object_bytes: int) -> bool:
    # To count takes eight instructions a byte, and in an ordinary page there is no need to.
    if len(written) <= _OBJECTS * object_bytes or written.count(b"{") <= _OBJECTS:
        return False
    objects = 0
    for each in _TEXT_OR_OBJECT.finditer(written):
        objects += each[0] == b"{"
        if objects > _OBJECTS:
            return True
    return False


def too_large() -> Refused:
    """Refuse to answer so much."""
    error = AnswerTooLarge()
    return refusal(Stage.SIZE, "answer_too_large", error.message)
