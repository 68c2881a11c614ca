"""The places of rejected lines among the messages of their thread.

Must not be here: the table that contains both (`store.staging`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from gateway.domain.direction import Direction, DirectionDetector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Refused = tuple[int, int, int | None]  # its place among all that was read, its list, its second


def places_of(refused: Iterable[Refused], placed: Iterable[tuple[int, int, int]]) -> dict[int, list[int]]:
    """Find the rank before which each rejected line belongs: next to the message that it was read next to.

    `placed` are the place, the list and the second of each message, in their order. The lines of a list without any
    accepted message are placed by their times.
    """
    ranks: dict[int, list[tuple[int, int]]] = {}
    seconds: list[int] = []
    for rank, (seq, number, second) in enumerate(placed):
        ranks.setdefault(number, []).append((seq, rank))
        seconds.append(second)
    places: dict[int, list[int]] = {}
    alone: dict[int, list[Refused]] = {}
    for line in refused:
        seq, number, _ = line
        own = ranks.get(number, [])
        in_order = sorted(own)
        if not own:
            alone.setdefault(number, []).append(line)
        elif len(own) > 1 and own[0][0] > own[-1][0]:
            place = bisect_right(in_order, (seq,))
            before = in_order[place][1] + 1 if place < len(in_order) else 0
            places.setdefault(before, []).insert(0, seq)
        else:
            place = bisect_left(in_order, (seq,))
            before = in_order[place - 1][1] + 1 if place else in_order[0][1]
            places.setdefault(before, []).append(seq)
    for each in alone.values():
        for seq, before in _by_times(each, seconds):
            places.setdefault(before, []).append(seq)
    return places


def _by_times(refused: Sequence[Refused], seconds: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Yield the lines of one list with the rank before which each belongs; one without a time follows the previous."""
    falls = len(seconds) > 1 and seconds[0] > seconds[-1]
    detector = DirectionDetector()
    for _, _, second in refused:
        if second is not None:
            detector.add(second)
    against = Direction.RISING if falls else Direction.FALLING
    before = 0
    for seq, _, second in reversed(refused) if seconds and detector.direction is against else refused:
        if second is not None and falls:
            before = bisect_right(seconds, -second, key=int.__neg__)
        elif second is not None:
            before = bisect_right(seconds, second)
        yield seq, before
