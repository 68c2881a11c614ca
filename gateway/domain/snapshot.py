"""The changes that a reader of the list of threads has seen, by their numbers, which are in no order of time.

A change gets its number before its transaction commits, so higher numbers may be seen before lower ones.
Must not be here: how changes get their numbers (the database), the epoch in a cursor (`core.follow_list`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

MAX_OPEN: Final = 100  # in a cursor; if there are more, later changes are emitted twice
_MAX_DIGITS: Final = 15  # hexadecimal; a bigint has 16


class Snapshot(NamedTuple):
    """All changes with a number below `next` were seen, except those of the transactions that were `open`, in order."""

    next: int
    open: tuple[int, ...] = ()

    @property
    def lowest(self) -> int:
        """The lowest number that was not seen."""
        return self.open[0] if self.open else self.next

    def sees(self, number: int) -> bool:
        """Say whether a change was seen."""
        return number < self.next and number not in self.open

    def sees_all_of(self, other: Snapshot) -> bool:
        """Say whether this covers everything that another snapshot covers."""
        return other.next <= self.next and all(each in other.open for each in self.open if each < other.next)

    def after(self, number: int, current: Snapshot) -> Snapshot:
        """Return the snapshot after all changes up to a number, among those that a later snapshot sees."""
        still = [each for each in current.open if each <= number] + [each for each in self.open if each > number]
        return Snapshot(min(max(self.next, number + 1), current.next), tuple(still))


def from_database(text: str) -> Snapshot:
    """Read what PostgreSQL says of a snapshot, `xmin:xmax:xip,xip`; SQLite's has the same form."""
    _, following, numbers = text.split(":")
    running = sorted(map(int, numbers.split(","))) if numbers else []
    return Snapshot(min([int(following), *running[MAX_OPEN:]]), tuple(running[:MAX_OPEN]))


def dump(snapshot: Snapshot) -> str:
    """Write a snapshot as a part of a cursor, in hexadecimal; the open ones are given by their distance."""
    return ".".join(f"{each:x}" for each in (snapshot.next, *(snapshot.next - number for number in snapshot.open)))


def load(text: str) -> Snapshot | None:
    """Read what `dump` has written; None for anything else."""
    parts = text.split(".", MAX_OPEN + 1)
    if not all(len(part) <= _MAX_DIGITS and part.isascii() and part.isalnum() for part in parts):
        return None
    try:
        following, *distances = (int(part, 16) for part in parts)
    except ValueError:
        return None
    snapshot = Snapshot(following, tuple(following - each for each in distances))
    is_in_order = all(0 < later < earlier for earlier, later in pairwise([following, *distances]))
    return snapshot if is_in_order and dump(snapshot) == text else None
