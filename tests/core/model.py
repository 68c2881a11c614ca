"""A model of paging over a list in memory, which the store is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from gateway.domain import parse_page
from gateway.domain.page import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from gateway.domain.page import Page, PageEnds, PageRequest, Rows


@dataclass
class Entry:
    """One item that was ever in the list; a deleted one keeps its place."""

    id: str
    run_id: str | None = None
    is_live: bool = True
    stored: int = 0  # bytes


@dataclass(frozen=True)
class Answer:
    """The result of one page."""

    ids: list[str]
    has_more: bool
    has_next: bool
    has_previous: bool


@dataclass(frozen=True)
class Asking:
    """What a client asks, with cursors as numbers of entries; `size_word` None is REST, else GraphQL's argument."""

    size_word: str | None
    size: int | None
    order: Order
    after: int | None
    before: int | None
    run_id: str | None

    def request(self, entries: list[Entry], as_cursor: Callable[[str], str | None]) -> PageRequest:
        """Go in through the entry of a face."""
        after, before = (None if at is None else entries[at % len(entries)].id for at in (self.after, self.before))
        if self.size_word is not None:
            sizes: dict[str, Any] = {"limit": None, "first": None, "last": None, self.size_word: self.size}
            return parse_page.from_arguments(as_cursor, order=self.order, after=after, before=before, **sizes)
        given = {"limit": self.size, "order": self.order.value, "after": after, "before": before}
        return parse_page.from_query({key: str(value) for key, value in given.items() if value is not None}, as_cursor)

    def expect(self, entries: list[Entry], at_most: float = inf) -> Answer:
        """Page the model, in the order in which its entries lie; a page holds so many bytes at most."""
        walk = entries if self.order is Order.ASC else entries[::-1]
        after, before = (
            None if at is None else walk.index(entries[at % len(entries)]) for at in (self.after, self.before)
        )
        whole = [n for n, entry in enumerate(walk) if entry.is_live and self.run_id in (None, entry.run_id)]
        inside = [n for n in whole if (after is None or n > after) and (before is None or n < before)]
        size = 20 if self.size is None else self.size
        takes_last = self.size_word == "last" or (before is not None and after is None and self.size_word != "first")
        met = inside[::-1] if takes_last else inside
        held = list(accumulate(walk[n].stored for n in met[:size]))
        page = sorted(met[: max(1, sum(each <= at_most for each in held))])
        if page:
            has_next, has_previous = whole[-1] > page[-1], whole[0] < page[0]
        else:
            has_next = before is not None and any(n >= before for n in whole)
            has_previous = after is not None and any(n <= after for n in whole)
        return Answer([walk[n].id for n in page], len(inside) > len(page), has_next, has_previous)


def answer_of(page: Page[Any] | Rows, ends: PageEnds) -> Answer:
    """Put what core gave into the words of the model."""
    return Answer([item.id for item in page.items], page.has_more, ends.has_next, ends.has_previous)


@dataclass(frozen=True)
class Change:
    """One step of a history: so many items are made, or one that is there is deleted."""

    makes: list[int] = field(default_factory=list)
    deletes: int | None = None


def changes(kinds: SearchStrategy[int]) -> SearchStrategy[list[Change]]:
    """Draw a history; what is made is drawn from `kinds`."""
    makes = st.builds(Change, makes=st.lists(kinds, min_size=1, max_size=12))
    deletes = st.builds(Change, deletes=st.integers(0, 1000))
    return st.lists(st.one_of(makes, deletes), min_size=1, max_size=12)


_PLACES = st.none() | st.integers(0, 1000)


def askings(runs: SearchStrategy[str | None]) -> SearchStrategy[list[Asking]]:
    """Draw what several clients of both faces ask."""
    sizes = st.none() | st.integers(1, 6) | st.integers(1, 100)
    words = st.sampled_from([None, "limit", "first", "last"])
    # No `first` and `last` without a number: then they are not there at all.
    asking = st.builds(Asking, words, sizes, st.sampled_from(Order), _PLACES, _PLACES, runs)
    return st.lists(
        asking.filter(lambda each: each.size is not None or each.size_word in (None, "limit")), min_size=1, max_size=8
    )
