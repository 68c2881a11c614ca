"""An LRU cache with a limit on the total weight of its entries.

Must not be here: what is cached.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class LruCache(Generic[T]):
    """Values by key; the least recently used entries are evicted when the total weight exceeds the limit."""

    def __init__(self, max_weight: int) -> None:
        self._max_weight = max_weight
        self.weight = 0
        self.hits = 0
        self.misses = 0
        self._kept: dict[str | bytes, tuple[T, int]] = {}  # in the order of last use

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str | bytes) -> T | None:
        """Return a value, mark it as the most recently used, and count the look-up."""
        value = self.touch(key)
        self.hits += value is not None
        self.misses += value is None
        return value

    def touch(self, key: str | bytes) -> T | None:
        """Return a value and mark it, without counting a look-up."""
        found = self._kept.pop(key, None)
        if found is None:
            return None
        self._kept[key] = found
        return found[0]

    def put(self, key: str | bytes, value: T, weight: int) -> None:
        """Store a value; one that alone exceeds the limit is not stored."""
        _, before = self._kept.pop(key, (None, 0))
        self.weight -= before
        if weight > self._max_weight:
            return
        self._kept[key] = (value, weight)
        self.weight += weight
        while self.weight > self._max_weight:
            oldest = next(iter(self._kept))
            self.weight -= self._kept.pop(oldest)[1]
