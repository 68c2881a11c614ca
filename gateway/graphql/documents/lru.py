"""A mapping that forgets what was used least lately once it holds too much.

Must not be here: what is kept in it.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """Values by text; what all keys and values weigh together stays below a bound."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self.weight = 0
        self.hits = 0
        self.misses = 0
        self._kept: dict[str, tuple[T, int]] = {}  # in the order of last use

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> T | None:
        """Find a value, which counts as a use of it."""
        found = self._kept.pop(key, None)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._kept[key] = found
        return found[0]

    def put(self, key: str, value: T, weight: int) -> None:
        """Keep a value; one that alone is too heavy is not kept."""
        _, before = self._kept.pop(key, (None, 0))
        self.weight -= before
        if weight > self._at_most:
            return
        self._kept[key] = (value, weight)
        self.weight += weight
        while self.weight > self._at_most:
            oldest = next(iter(self._kept))
            self.weight -= self._kept.pop(oldest)[1]
