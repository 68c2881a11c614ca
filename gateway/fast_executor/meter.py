"""Limits on one execution: the objects and the text of its result, and its time, also while it never awaits.

It counts only what certainly becomes part of the response, so a stopped execution would have been too large; the exact
size is checked when the response is written. After a limit is exceeded the result is discarded.
Must not be here: the error that is returned, the size of a written response, fast paths (`executor`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
from graphql import Executor, get_nullable_type, is_composite_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from graphql import GraphQLLeafType, GraphQLObjectType, GraphQLResolveInfo
    from graphql.execution.collect_fields import FieldDetails
    from graphql.pyutils import Path

LONG: Final = 4_096  # characters of a text; shorter ones are counted only when the response is written
_ITEMS_PER_CHECK: Final = 100  # of the clock; a page has no more


class Stopped(Exception):
    """The execution has exceeded a limit."""


class Meter:
    """Counts for one execution, unlimited by default; each method, and an iteration, raises Stopped at a limit."""

    __slots__ = (
        *("_max_bytes", "_max_objects", "bytes", "deadline", "json", "most", "objects", "stopped_by", "unchecked"),
    )

    def __init__(
        self, max_objects: float = float("inf"), max_bytes: float = float("inf"), deadline: float = float("inf")
    ) -> None:
        self._max_objects, self._max_bytes, self.deadline = max_objects, max_bytes, deadline
        self.objects = self.bytes = 0
        self.json = self.most = 0  # bytes that contain at most so many objects
        self.stopped_by: Literal["size", "time"] | None = None
        self.unchecked: float = 0  # up to so many objects of lists no check is needed

    def check_deadline(self) -> None:
        """Check the clock."""
        if self.stopped_by is not None:
            raise Stopped
        if time.monotonic() > self.deadline:
            self._stop("time")

    def add_objects(self, count: int) -> None:
        """Count objects that are about to be written."""
        self.objects += count
        if self.objects > self._max_objects:
            self._stop("size")
        self.check_deadline()

    def check_objects(self, items: Sequence[Any]) -> None:
        """Check that the objects of a list fit; they are counted one by one later."""
        if self.objects + len(items) > self._max_objects:
            more = sum(item is not None for item in items)
            if self.objects + more > self._max_objects:
                self._stop("size")

    def add_text(self, text: str | bytes) -> None:
        """Count a long text; bytes are JSON."""
        self.bytes += len(text) if isinstance(text, bytes) else len(orjson.dumps(text)) - 2
        if self.bytes > self._max_bytes:
            self._stop("size")

    def add_json(self, text: bytes) -> None:
        """Count a long piece of JSON: its objects are counted in `most`, and those in `objects` are checked."""
        self.json += len(text)
        self.add_text(text)
        self.add_objects(0)

    def replace_text(self, before: int, text: bytes) -> None:
        """Count a piece of JSON instead of all text that was counted since `bytes` was `before`."""
        self.bytes = before + len(text)
        if self.bytes > self._max_bytes:
            self._stop("size")

    def begin(self, items: Sequence[Any]) -> Iterable[Any]:
        """Check the limits, and iterate over a list whose objects are counted already."""
        self.add_objects(0)
        self.unchecked = min(self._max_objects, self.objects + _ITEMS_PER_CHECK)
        return self.iterate(items)

    def iterate(self, items: Sequence[Any]) -> Iterable[Any]:
        """Iterate over a list, and check the clock from time to time."""
        self.check_deadline()
        return items if len(items) <= _ITEMS_PER_CHECK else self._iterate_checked(items)

    def _iterate_checked(self, items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            if not number % _ITEMS_PER_CHECK:
                self.check_deadline()
            yield item

    def _stop(self, by: Literal["size", "time"]) -> None:
        self.stopped_by, self.unchecked = by, -1
        raise Stopped


class MeteredExecutor(Executor[Any]):
    """graphql-core's executor, stopped when it exceeds a limit; the caller sets its `meter`."""

    meter: Meter = Meter()

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Count an object."""
        self.meter.add_objects(1)
        return super().complete_object_value(return_type, field_details_list, info, path, result, position_context)

    def complete_iterable_value(
        self,
        item_type: Any,
        field_details_list: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Any,
        position_context: Any,
    ) -> Any:
        """Check the size of a list before its first item is completed, and the clock while iterating."""
        iterated: Iterable[Any] = items
        if isinstance(items, list | tuple):
            if is_composite_type(get_nullable_type(item_type)):
                self.meter.check_objects(items)
            iterated = self.meter.iterate(items)
        return super().complete_iterable_value(item_type, field_details_list, info, path, iterated, position_context)

    def complete_leaf_value(self, return_type: GraphQLLeafType, result: Any) -> Any:  # type: ignore[override]
        """Count a long text."""
        completed = super().complete_leaf_value(return_type, result)
        if type(completed) is str and len(completed) > LONG:
            self.meter.add_text(completed)
        return completed
