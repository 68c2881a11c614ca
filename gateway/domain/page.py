"""Pages and page requests of both faces, and the limits on the bytes of a page and a response.

Must not be here: reading a query string or GraphQL arguments (`parse_page`), SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from gateway.domain import bounds
from gateway.domain.message import Message
from gateway.errors import AnswerTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.domain.thread import Thread

T = TypeVar("T")
R = TypeVar("R", bound="Sequence[Any]")

Fields = tuple[str, ...]  # names of fields of a named tuple, in the order of the values in a row
WHOLE: Final[Fields] = Message._fields  # messages as objects
WIRE: Final[Fields] = ("id", "wire_json")  # messages as JSON objects of the API
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = bounds.PAGE.number
MAX_BYTES: Final = bounds.PAGE_BYTES.number
MAX_ANSWER_BYTES: Final = bounds.ANSWER_BYTES.number
_AS_MESSAGE: Callable[[Any], Message] = partial(tuple.__new__, Message)  # without a Python call for each of them
_BYTES: Final = itemgetter(-1)
_ALL_FIELDS: Final = itemgetter(slice(len(WHOLE)))


class Order(Enum):
    """The order of a list, by the time of creation."""

    ASC = "asc"
    DESC = "desc"

    __hash__ = object.__hash__  # members are singletons; Enum's own hash runs in Python


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The part of a list to return.

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
    """The rows of one page, and whether more rows follow."""

    rows: list[R]
    has_more: bool


_AS_PAGE: Callable[[Any], PageRows[Any]] = partial(tuple.__new__, PageRows)


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
        return PageRows(kept, has_more=False)
    del kept[-1]
    return PageRows(kept, has_more=True)


def take_first(found: Iterable[R], limit: int) -> PageRows[R]:
    """Take the rows of one page, whose bytes are not limited, from all that a statement has found."""
    kept = list(found)
    has_more = len(kept) > limit
    del kept[limit:]
    return PageRows(kept, has_more)


def take_all(found: Iterable[R]) -> list[R]:
    """Take all rows; the last value of each is the stored size of its item, or 0 where it has none.

    Errors: AnswerTooLarge, at the first row over the limit; a single item may have any size.
    """
    kept: list[R] = []
    stored, keep = 0, kept.append
    for row in found:
        keep(row)
        stored += row[-1]
        if stored > MAX_ANSWER_BYTES and stored > row[-1]:
            kept.clear()  # the traceback would keep the rows alive
            raise AnswerTooLarge
    return kept


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

    def take_pages(self, found: Iterable[R], limit: int, place: int) -> tuple[dict[str, PageRows[R]], bool]:
        """Take the rows of the pages of several threads, whose ids are at a place; say whether all rows were taken.

        The scan stops at a page that reaches the limit on bytes, so as not to read the rest of that thread. The rules
        are those of `take_page`; the pages here are short, and a call for each would cost more than its rows.
        Errors: AnswerTooLarge.
        """
        pages: dict[str, list[R]] = {}
        kept: list[R] = []
        longer: set[str] = set()
        thread_id, stored, is_whole = "", 0, True
        for row in found:
            if row[place] != thread_id:
                thread_id, stored = row[place], 0
                kept = pages[thread_id] = []
            stored += row[-1]
            if len(kept) == limit or (kept and stored > MAX_BYTES):
                longer.add(thread_id)
                if len(kept) < limit:
                    is_whole = False
                    break
            else:
                kept.append(row)
                self.stored += row[-1]
                self.count += 1
                if self.stored > MAX_ANSWER_BYTES and self.count > 1:
                    for each in pages.values():
                        each.clear()  # the traceback would keep the rows alive
                    raise AnswerTooLarge
        return {each: _AS_PAGE((rows, each in longer)) for each, rows in pages.items()}, is_whole


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


class PageRead(NamedTuple):
    """A read: the same page of one or several threads, all messages or those of one run, and some fields of each.

    With `with_thread` or `with_edges` there is one thread, which is read too, or the edges of its page. Without
    `with_more`, a read of several threads does not find out whether rows follow each page.
    """

    thread_ids: Sequence[str]
    page: PageRequest
    run_id: str | None = None
    fields: Fields = WHOLE
    with_thread: bool = False
    with_more: bool = True
    with_edges: bool = False


class ReadRows(NamedTuple):
    """A page of messages of which some fields were read, the id among them.

    A row begins with those fields, in this order, and ends with its stored bytes. `edges` are None where they were not
    read, as in a page without rows; `thread` is there if it was asked for and exists.
    """

    rows: list[Any]
    has_more: bool
    fields: Fields
    edges: EdgeFlags | None
    thread: Thread | None


class Rows(ReadRows):
    """The same with its messages; a tuple, since a list of threads has one for each thread."""

    @property
    def stored(self) -> int:
        """The stored bytes."""
        return sum(map(_BYTES, self.rows))

    @cached_property
    def items(self) -> tuple[Message, ...]:
        """The messages."""
        return messages_of(self.fields, self.rows)

    def by_id(self) -> dict[str, Message]:
        """The same by their ids."""
        return {message.id: message for message in self.items}

    @property
    def id_at_ends(self) -> tuple[str | None, str | None]:
        """The ids of the first and the last."""
        place = self.fields.index("id")
        return (self.rows[0][place], self.rows[-1][place]) if self.rows else (None, None)


@lru_cache(64)
def _values_of(fields: Fields) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return the function that puts a row, to which None is added, in the order of all fields."""
    return itemgetter(*[fields.index(name) if name in fields else -1 for name in WHOLE])


def messages_of(fields: Fields, rows: Sequence[Any]) -> tuple[Message, ...]:
    """Make messages of rows that begin with some fields, with None in those that were not read."""
    if fields == WHOLE:
        return tuple(map(_AS_MESSAGE, map(_ALL_FIELDS, rows)))
    values = _values_of(fields)
    return tuple([_AS_MESSAGE(values((*row, None))) for row in rows])


AS_ROWS: Callable[[Any], Rows] = partial(tuple.__new__, Rows)  # without a Python call for each of them


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
