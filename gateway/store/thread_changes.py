"""The meaning of rows of changed threads: which changes are complete, and a follower's place after each of them.

Must not be here: the text of statements (`statements.following_list`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.domain import change, snapshot
from gateway.store.statements.following_list import CREATED, DELETED, ERASED, MOVED, OWN, READ, SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.domain.change import ListChange, OwnerErased
    from gateway.domain.snapshot import Snapshot
    from gateway.domain.thread import Thread


class Item(NamedTuple):
    """A change and its number, a follower's snapshot after it, and whether the thread itself was changed.

    Otherwise its messages were, or it is as it was created.
    """

    number: int
    seen: Snapshot
    change: ListChange | OwnerErased
    is_own: bool


@dataclass(frozen=True, slots=True)
class ListBatch:
    """Changes since a snapshot, what is seen after all of them, and whether more may follow."""

    items: list[Item]
    seen: Snapshot
    has_more: bool


class Window(NamedTuple):
    """Threads, each with the number of its last change and flags, up to a number; None where there are no more."""

    changed: list[tuple[str, int, int]]
    until: int | None
    current: Snapshot


def window(found: Sequence[Any], seen: Snapshot, limit: int, *, may_cut_ties: bool) -> Window:
    """Take the changes up to the number to which they are complete."""
    text: str = next(row[1] for row in found if row[0] == SNAPSHOT)
    of_source: dict[int, list[int]] = {}
    for source, _, number, _ in found:
        if number >= seen.next:
            of_source.setdefault(source, []).append(number)
    ends = [_end(numbers, may_cut_ties=may_cut_ties) for numbers in of_source.values() if len(numbers) >= limit]
    until = min(ends, default=None)
    merged: dict[str, tuple[int, int]] = {}
    for source, thread_id, number, flags in found:
        if source != SNAPSHOT and (until is None or number <= until):
            last, all_flags = merged.get(thread_id, (0, 0))
            merged[thread_id] = max(last, number), all_flags | flags
    changed = sorted(((thread_id, *each) for thread_id, each in merged.items()), key=lambda each: each[1])
    return Window(changed, until, snapshot.from_database(text))


def batch(found: Window, seen: Snapshot, threads: Mapping[str, Thread]) -> ListBatch:
    """Make the changes of a window; threads that the caller cannot reach, or deleted meanwhile, are omitted."""
    changed, until, current = found
    end = current if until is None else seen.after(until, current)
    items: list[Item] = []
    for n, (thread_id, number, flags) in enumerate(changed):
        event = _event(thread_id, number, flags, threads.get(thread_id))
        if event is None:
            continue
        is_last = n + 1 == len(changed)
        is_complete = is_last or changed[n + 1][1] > number  # one transaction may have changed several threads
        at = end if is_last else seen.after(number if is_complete else number - 1, current)
        items.append(Item(number, at, event, bool(flags & OWN)))
    return ListBatch(items, end, until is not None)


def _end(numbers: Sequence[int], *, may_cut_ties: bool) -> int:
    """Return the last number to which a limited select has all changes."""
    last = max(numbers)
    return max((each for each in numbers if each < last), default=last) if may_cut_ties else last


def _event(thread_id: str, number: int, flags: int, thread: Thread | None) -> ListChange | OwnerErased | None:
    if flags & ERASED:
        return change.OwnerErased()
    if thread is None:
        return change.ThreadDeleted(number, thread_id) if flags & DELETED else None
    if flags == READ:
        return change.ThreadRead(thread_id)
    if flags & CREATED:
        return change.ThreadCreated(thread)
    return change.ThreadMoved(thread) if flags & MOVED else change.ThreadUpdated(number, thread)
