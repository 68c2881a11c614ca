"""The order of a list of messages, inferred from its times: oldest first, newest first, or neither.

Must not be here: where lists begin and end (`transfer`), sorting (`ordering`).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

MAX_SKEW_S: Final = 60  # allowed clock skew between the writers of messages
_RARE: Final = 10  # one step against the order is allowed in so many messages, and at least one in any list


class Direction(Enum):
    """The order of a list; UNKNOWN if all times are equal, MIXED if there is no order."""

    RISING = "asc"
    FALLING = "desc"
    UNKNOWN = "unknown"
    MIXED = "mixed"


class DirectionDetector:
    """Infers the order from the times of a list, one by one, in constant memory."""

    __slots__ = ("_falls", "_first", "_last", "_low", "_rises", "_step_back", "_step_up", "count", "latest")

    def __init__(self) -> None:
        self.count = self._rises = self._falls = self._step_back = self._step_up = 0
        self._first = self._last = self.latest = self._low = 0

    def add(self, second: int) -> None:
        """Add the next time."""
        self.count += 1
        if self.count == 1:
            self._first = self._last = self.latest = self._low = second
            return
        if second > self._last:
            self._rises += 1
            self._step_up = max(self._step_up, second - self._low)
            self.latest = max(self.latest, second)
        elif second < self._last:
            self._falls += 1
            self._step_back = max(self._step_back, self.latest - second)
            self._low = min(self._low, second)
        self._last = second

    @property
    def is_monotonic(self) -> bool:
        """Whether the times only rise, or only fall."""
        return (self._rises == 0) != (self._falls == 0)

    @property
    def direction(self) -> Direction:
        """The order of the list; small steps back of a clock are ignored."""
        if self._rises == self._falls == 0:
            return Direction.UNKNOWN
        if self.is_monotonic:
            return Direction.RISING if self._rises else Direction.FALLING
        rare = max(1, self.count // _RARE)
        may_rise = self._falls <= rare and self._step_back <= MAX_SKEW_S
        may_fall = self._rises <= rare and self._step_up <= MAX_SKEW_S
        if may_rise and may_fall:  # a few messages within a minute
            may_rise = self._last >= self._first
        if may_rise:
            return Direction.RISING
        return Direction.FALLING if may_fall else Direction.MIXED
