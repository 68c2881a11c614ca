"""Pages and page requests of both faces, and the limits on the bytes of a page and a response.

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

Fields = tuple[str, ...]  # names of fields of a named tuple, in the order of the values in a row
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = bounds.PAGE.number
MAX_BYTES: Final = bounds.PAGE_BYTES.number
MAX_ANSWER_BYTES: Final = bounds.ANSWER_BYTES.number


class Order(Enum):
    """The order of a list, by the time of creation."""

    ASC = "asc"
    DESC = "desc"

    __hash__ = object.__hash__  # members are singletons; Enum's own hash runs in Python


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list to return.

    `after` and `before` are IDs of objects in the list; they bound an open interval in `order`.
    `from_end` selects the last `limit` items of the interval instead of the first.
    """

    limit: int = DEFAULT_LIMIT
    order: Order = Order.DESC
    after: str | None = None
    before: str | None = None
    from_end: bool = False

    def cursors(self) -> list[tuple[str, str]]:
        """List the given cursors, each with the name of its parameter."""
        given = (("after", self.after), ("before", self.before))
        return [(param, cursor) for param, cursor in given if cursor is not None]


class PageRows(NamedTuple, Generic[R]):
    """The rows of one page, whether more rows follow, and the stored bytes of the page."""

    rows: list[R]
    has_more: bool
    stored: int


def take_page(found: Iterable[R], limit: int) -> PageRows[R]:
    """Take the rows of one page from a scan, within the limits on items and bytes.

    The last value of each row is the stored size of its item, whatever columns were selected: so the length of a page
    does not depend on the selection. A page has at least one item. The scan stops at the first row after the page.
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
    """The limit on the stored bytes of all reads of one response."""

    stored: int = 0
    count: int = 0

    def fits(self, *read: tuple[int, int]) -> bool:
        """Add reads, each with its bytes and items; return whether they are within the limit.

        A single item may have any size.
        """
        for stored, count in read:
            self.stored += stored
            self.count += count
        return self.stored <= MAX_ANSWER_BYTES or self.count <= 1

    def take_page(self, found: Iterable[R], limit: int) -> PageRows[R]:
        """Take the rows of one of several pages.

        Errors: AnswerTooLarge.
        """
        page = take_page(found, limit)
        if not self.fits((page.stored, len(page.rows))):
            page.rows.clear()  # the traceback would keep the rows alive
            raise AnswerTooLarge
        return page

    def whole(self, found: Iterable[R]) -> list[R]:
        """Take all rows; the last value of each is its stored size.

        Errors: AnswerTooLarge, at the first row over the limit.
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
    """Items in the requested order, and whether more items follow in the direction of paging."""

    items: tuple[T, ...]
    has_more: bool
    stored: int = 0  # bytes, where they are counted

    @property
    def id_at_ends(self) -> tuple[str | None, str | None]:
        """The IDs of the first and the last item."""
        items: tuple[Any, ...] = self.items
        return (items[0].id, items[-1].id) if items else (None, None)


@dataclass  # not frozen: creating a frozen instance takes three times as long
class Rows(Generic[T]):
    """A page of named tuples of which only some fields were read, `id` among them.

    Shape: each row begins with the values of `fields`, in this order.
    """

    kind: type[T]
    fields: Fields
    rows: Sequence[Sequence[Any]]
    has_more: bool
    stored: int = 0  # bytes

    @cached_property
    def items(self) -> tuple[T, ...]:
        """The rows as named tuples; fields that were not read are None."""
        places: Fields = getattr(self.kind, "_fields")  # noqa: B009  (a type variable has none that mypy knows)
        at = [self.fields.index(name) if name in self.fields else None for name in places]
        return tuple(self.kind(*[None if n is None else row[n] for n in at]) for row in self.rows)

    @property
    def id_at_ends(self) -> tuple[str | None, str | None]:
        """The IDs of the first and the last item."""
        place = self.fields.index("id")
        return (self.rows[0][place], self.rows[-1][place]) if self.rows else (None, None)


@dataclass(slots=True)
class WirePage:
    """A page of serialized JSON objects of the API, with the IDs of the first and the last."""

    objects: Sequence[bytes]
    first_id: str | None
    last_id: str | None
    has_more: bool


@dataclass(slots=True)
class EdgeFlags:
    """Whether items exist at each cursor of a page request or past it; False without that cursor."""

    after: bool = False
    before: bool = False


@dataclass(slots=True)
class PageEnds:
    """Whether the list has items before and after a page (Relay's `PageInfo`)."""

    has_next: bool
    has_previous: bool
