"""The size of a response: its data is serialized once, for all transports, and checked against the limits.

Must not be here: limits while executing (`fast_executor.meter`).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from graphql import ExecutionResult

from gateway.domain import bounds
from gateway.errors import AnswerTooLarge
from gateway.fast_executor.meter import Meter
from gateway.graphql.errors import cause_of
from gateway.graphql.refusal import Stage, refusal

if TYPE_CHECKING:
    from gateway.graphql.refusal import Refused

_OBJECTS: Final = bounds.ANSWER_OBJECTS.number
_BYTES: Final = bounds.ANSWER_BYTES.number
# A text as JSON, or the beginning of an object.
_TEXT_OR_OBJECT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|\{')


def meter(timeout_s: float) -> Meter:
    """Make the meter of an execution that starts now."""
    return Meter(_OBJECTS, _BYTES, time.monotonic() + timeout_s)


def bounded(result: ExecutionResult, meter: Meter, object_bytes: int) -> ExecutionResult:
    """Serialize the data of a result; `object_bytes` is the minimum size of an object.

    Errors: Refused if it exceeds a limit.
    """
    if meter.stopped_by == "size" or any(isinstance(cause_of(each), AnswerTooLarge) for each in result.errors or ()):
        raise too_large()
    if result.data is None:
        return result
    serialized = orjson.dumps(result.data)
    json = 0 if result.errors else meter.json  # an error may have removed some
    has_few = len(serialized) - json <= (_OBJECTS - meter.most) * object_bytes
    if len(serialized) > _BYTES or not (has_few or _has_few_objects(serialized)):
        raise too_large()
    return ExecutionResult(cast("Any", orjson.Fragment(serialized)), result.errors)


def _has_few_objects(serialized: bytes) -> bool:
    # Counting takes eight instructions per byte, and an ordinary page does not need it.
    if serialized.count(b"{") <= _OBJECTS:
        return True
    objects = 0
    for each in _TEXT_OR_OBJECT.finditer(serialized):
        objects += each[0] == b"{"
        if objects > _OBJECTS:
            return False
    return True


def too_large() -> Refused:
    """Make the refusal of a response that is too large."""
    error = AnswerTooLarge()
    return refusal(Stage.SIZE, "answer_too_large", error.message)
