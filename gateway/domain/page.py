"""What a page is and what may be asked of one, for both faces.

Must not be here: reading a query string or GraphQL arguments (`parse_page`), SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from gateway.domain import bounds
from gateway.errors import AnswerTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")
R = TypeVar("R", bound="Sequence[Any]")

Fields = tuple[str, ...]  # of a tuple with names, in the order in which rows hold them
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = bounds.PAGE.number
MAX_BYTES: Final = bounds.PAGE_BYTES.number
MAX_ANSWER_BYTES: Final = bounds.ANSWER_BYTES.number


class Order(Enum):
    """The order in which a list is walked, by the time of creation."""

    ASC = "asc"
    DESC = "desc"

    __hash__ = object.__hash__  # each is there once; the one of Enum hashes its name in Python


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is asked for.

    `after` and `before` are ids of the list's own objects and bound an open interval, read in `order`;
    `from_end` takes the last `limit` items of that interval instead of the first.
    """

    limit: int = DEFAULT_LIMIT
    order: Order = Order.DESC
    after: str | None = None
    before: str | None = None
    from_end: bool = False

    def cursors(self) -> list[tuple[str, str]]:
        """Name the cursors that were given, each with its parameter."""
        given = (("after", self.after), ("before", self.before))
        return [(param, cursor) for param, cursor in given if cursor is not None]


class PageRows(NamedTuple, Generic[R]):
    """What one page holds of the rows of a walk, whether the walk goes on, and the bytes that are stored of it."""

    rows: list[R]
    has_more: bool
    stored: int


def take_page(found: Iterable[R], limit: int) -> PageRows[R]:
    """Keep what one page holds of what a walk meets.

    Each row ends with the bytes that are stored of its item, whatever else was read of it: so a page is as long for
    whoever selects little of it. It has at least one item; there is one row more where the walk goes on, and none is
    asked for behind the first that is too many.
    """
    kept: list[R] = []
    stored, keep = 0, kept.append
    for row in found:
        stored += row[-1]
        keep(row)
        if stored > MAX_BYTES and len(kept) > 1:
            break
    if len(kept) <= limit and (stored <= MAX_BYTES or len(kept) == 1):
        return PageRows(kept, has_more=False, stored=stored)
    return PageRows(kept, has_more=True, stored=stored - kept.pop()[-1])


@dataclass(slots=True)
class AnswerBudget:
    """What several reads may hold together, as it stands in one answer."""

    stored: int = 0
    count: int = 0

    def fits(self, *read: tuple[int, int]) -> bool:
        """Count what was read, its bytes and its items, and say whether it may be; one alone may be of any size."""
        for stored, count in read:
            self.stored += stored
            self.count += count
        return self.stored <= MAX_ANSWER_BYTES or self.count <= 1

    def take_page(self, found: Iterable[R], limit: int) -> PageRows[R]:
        """PageRows one of several pages.

        Errors: AnswerTooLarge.
        """
        page = take_page(found, limit)
        if not self.fits((page.stored, len(page.rows))):
            page.rows.clear()  # an error keeps the frames that it passed, and so their rows
            raise AnswerTooLarge
        return page

    def whole(self, found: Iterable[R]) -> list[R]:
        """Take all rows, each of which ends with its bytes.

        Errors: AnswerTooLarge, before more than that has been asked for.
        """
        kept: list[R] = []
        for row in found:
            kept.append(row)
            if not self.fits((row[-1], 1)):
                kept.clear()
                raise AnswerTooLarge
        return kept


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items in the order asked for, and whether the interval holds more on the side one walks to."""

    items: tuple[T, ...]
    has_more: bool
    stored: int = 0  # bytes, where they are counted

    @property
    def id_at_ends(self) -> tuple[str | None, str | None]:
        """The ids of the first and the last item."""
        items: tuple[Any, ...] = self.items
        return (items[0].id, items[-1].id) if items else (None, None)


@dataclass  # not frozen, as all that each page makes anew: it would take three times as long
class Rows(Generic[T]):
    """A page of tuples of a class of which some fields were read, the id among them.

    A row begins with those fields, in this order.
    """

    kind: type[T]
    fields: Fields
    rows: Sequence[Sequence[Any]]
    has_more: bool
    stored: int = 0  # bytes

    @cached_property
    def items(self) -> tuple[T, ...]:
        """The tuples that the rows stand for, with nothing in the fields that were not read."""
        places: Fields = getattr(self.kind, "_fields")  # noqa: B009  (a type variable has none that mypy knows)
        at = [self.fields.index(name) if name in self.fields else None for name in places]
        return tuple(self.kind(*[None if n is None else row[n] for n in at]) for row in self.rows)

    @property
    def id_at_ends(self) -> tuple[str | None, str | None]:
        """The ids of the first and the last."""
        place = self.fields.index("id")
        return (self.rows[0][place], self.rows[-1][place]) if self.rows else (None, None)


@dataclass(slots=True)
class WirePage:
    """A page of objects as the wire has them, and which the first and the last of them are."""

    objects: Sequence[bytes]
    first_id: str | None
    last_id: str | None
    has_more: bool


@dataclass(slots=True)
class EdgeFlags:
    """Whether anything lies at each cursor of a page or on its far side; False where there is no such cursor."""

    after: bool = False
    before: bool = False


@dataclass(slots=True)
class PageEnds:
    """Whether the whole list goes on beyond a page, on each side (Relay's `PageInfo`)."""

    has_next: bool
    has_previous: bool
