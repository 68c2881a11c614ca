"""What one execution may take: objects and text in its answer, and time also where it never waits.

Counted is what certainly ends in the answer, so an execution that is stopped would have answered too much; whoever
wrote the answer out knows exactly. Once a bound is passed nothing goes on, and its answer is worth nothing.
Must not be here: what is answered instead, and what an answer comes to when it is written.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LONG: Final = 4_096  # characters of a text; those of shorter ones are known when they are written
_ITEMS: Final = 100  # between two looks at the clock; a page has no more


class Stopped(Exception):
    """The execution has passed a bound."""


class Meter:
    """Counts for one execution; without bounds if none are given."""

    __slots__ = ("_bytes_at_most", "_objects_at_most", "ended_by", "objects", "until", "written")

    def __init__(
        self, objects: float = float("inf"), written: float = float("inf"), until: float = float("inf")
    ) -> None:
        self._objects_at_most, self._bytes_at_most, self.until = objects, written, until
        self.objects = self.written = 0
        self.ended_by: Literal["size", "time"] | None = None

    def look(self) -> None:
        """Look at the clock.

        Errors: Stopped.
        """
        if self.ended_by is not None:
            raise Stopped
        if time.monotonic() > self.until:
            self._end("time")

    def count(self, objects: int) -> None:
        """Count objects that are about to be written.

        Errors: Stopped.
        """
        self.objects += objects
        if self.objects > self._objects_at_most:
            self._end("size")
        self.look()

    def expect(self, items: Sequence[Any]) -> None:
        """See whether the objects of a list fit, which are counted one by one later.

        Errors: Stopped.
        """
        if self.objects + len(items) > self._objects_at_most:
            more = sum(item is not None for item in items)
            if self.objects + more > self._objects_at_most:
                self._end("size")

    def write(self, text: str | bytes) -> None:
        """Count a long text; bytes are JSON.

        Errors: Stopped.
        """
        self.written += len(text) if isinstance(text, bytes) else len(orjson.dumps(text)) - 2
        if self.written > self._bytes_at_most:
            self._end("size")

    def wrote(self, before: int, text: bytes) -> bytes:
        """Count a piece of JSON in place of what was counted since it was begun.

        Errors: Stopped.
        """
        self.written = before
        self.write(text)
        return text

    def walk(self, items: Sequence[Any]) -> Iterable[Any]:
        """Walk through a list, and look at the clock from time to time.

        Errors: Stopped, also from the walk.
        """
        self.look()
        return items if len(items) <= _ITEMS else self._ticking(items)

    def _ticking(self, items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            if not number % _ITEMS:
                self.look()
            yield item

    def _end(self, by: Literal["size", "time"]) -> None:
        self.ended_by = by
        raise Stopped
