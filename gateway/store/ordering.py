"""The order of a thread's messages that were read from several lists, or from one that does not run one way.

Must not be here: the table that they lie in (`staging`).
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

_ONE_WAY: Final = (Direction.RISING, Direction.FALLING)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a list was read: its file, which way it runs if its times do not tell, and whether somebody said so."""

    file: int
    fallback: Direction
    is_said: bool


@dataclass(slots=True)
class _List:
    """The messages of one list as they were read: where each lies in the table, and its time."""

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
        """Give the messages in their order, and with each the second that it counts as: never before the last one's."""
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
        """Where a list stands among others in a second that they share: the one that reaches further back is first."""
        number = -self.number if self.direction is Direction.FALLING else self.number
        return min(self.seconds), max(self.seconds), number


def arrange(
    rows: Iterable[tuple[int, int, int]],
    sources: Mapping[int, Source],
    told: Direction | None,
    whole: Mapping[int, Direction],
) -> Iterator[tuple[int, int]]:
    """Give where the messages of a thread lie, oldest first, and the second that each counts as.

    `rows` are the place, the time and the list of each as they were read, no message twice; `told` is the direction
    of all lists where the file itself says it; `whole` those of lists with the messages that others repeat, which
    count where the rest of one does not tell.
    """
    lists = [each for own in _by_file(rows, sources) for each in own]
    for each in lists:
        each.direction = told or each.detector.direction
        if each.direction is Direction.UNKNOWN and whole.get(each.number) in _ONE_WAY:
            each.direction = whole[each.number]
    said = {each.direction for each in lists if each.direction in _ONE_WAY}
    for each in lists:
        if each.direction is Direction.UNKNOWN:
            agreed = next(iter(said)) if len(said) == 1 else each.source.fallback
            each.direction = each.source.fallback if each.source.is_said else agreed
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
    """Take the lists of each file; where they run one way one behind the other, they are pages of one list."""
    for _, own in groupby(rows, key=lambda row: sources[row[2]].file):
        lists: dict[int, _List] = {}
        whole: _List | None = None
        for seq, second, number in own:
            whole = whole or _List(number, sources[number])
            whole.add(seq, second)
            lists.setdefault(number, _List(number, sources[number])).add(seq, second)
        if whole is not None:
            yield [whole] if whole.detector.is_monotonic else list(lists.values())
