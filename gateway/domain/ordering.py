"""The order of a thread's messages that were read from several lists, or from an unsorted one.

Must not be here: the table that contains them (`store.staging`).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from gateway.domain.direction import Direction, DirectionDetector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SORTED: Final = (Direction.RISING, Direction.FALLING)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a list was read: its file, its direction if its times do not show it, and whether that is explicit."""

    file: int
    fallback: Direction
    is_explicit: bool


@dataclass(slots=True)
class _List:
    """The messages of one list as they were read: the place of each in the table, and its time."""

    number: int
    source: Source
    seqs: array[int] = field(default_factory=lambda: array("q"))
    seconds: array[int] = field(default_factory=lambda: array("q"))
    detector: DirectionDetector = field(default_factory=DirectionDetector)
    direction: Direction = Direction.UNKNOWN

    def add(self, seq: int, second: int) -> None:
        self.seqs.append(seq)
        self.seconds.append(second)
        self.detector.add(second)

    def oldest_first(self) -> Iterator[tuple[int, int]]:
        """Yield the messages in their order, each with its effective second: never before that of the previous one."""
        places = range(len(self.seqs))
        if self.direction is Direction.FALLING:
            places = places[::-1]
        in_order: Iterable[int] = places
        if self.direction is Direction.MIXED:
            in_order = sorted(places, key=self.seconds.__getitem__)
        second = 0
        for place in in_order:
            second = max(second, self.seconds[place])
            yield second, self.seqs[place]

    @property
    def rank(self) -> tuple[int, int, int]:
        """The rank of a list among others in a second that they share: the one that begins earlier is first."""
        number = -self.number if self.direction is Direction.FALLING else self.number
        return min(self.seconds), max(self.seconds), number


def arrange(
    rows: Iterable[tuple[int, int, int]],
    sources: Mapping[int, Source],
    explicit: Direction | None,
    whole: Mapping[int, Direction],
) -> Iterator[tuple[int, int]]:
    """Yield the places of a thread's messages, oldest first, each with its effective second.

    `rows` are the place, the time and the list of each message as they were read, without duplicates; `explicit` is the
    direction of all lists, if the file declares it; `whole` has the directions of lists including their duplicates, for
    lists that do not show one without them.
    """
    lists = [each for own in _by_file(rows, sources) for each in own]
    for each in lists:
        each.direction = explicit or each.detector.direction
        if each.direction is Direction.UNKNOWN and whole.get(each.number) in _SORTED:
            each.direction = whole[each.number]
    known = {each.direction for each in lists if each.direction in _SORTED}
    for each in lists:
        if each.direction is Direction.UNKNOWN:
            agreed = next(iter(known)) if len(known) == 1 else each.source.fallback
            each.direction = each.source.fallback if each.source.is_explicit else agreed
    lists.sort(key=attrgetter("rank"))
    keys = [
        (second, rank, place, seq)
        for rank, each in enumerate(lists)
        for place, (second, seq) in enumerate(each.oldest_first())
    ]
    keys.sort()
    for second, _, _, seq in keys:
        yield seq, second


def _by_file(rows: Iterable[tuple[int, int, int]], sources: Mapping[int, Source]) -> Iterator[list[_List]]:
    """Return the lists of each file; lists that are sorted when joined are pages of one list."""
    for _, own in groupby(rows, key=lambda row: sources[row[2]].file):
        lists: dict[int, _List] = {}
        whole: _List | None = None
        for seq, second, number in own:
            whole = whole or _List(number, sources[number])
            whole.add(seq, second)
            lists.setdefault(number, _List(number, sources[number])).add(seq, second)
        if whole is not None:
            yield [whole] if whole.detector.is_monotonic else list(lists.values())
