"""The threads of a list and their order, and the cursors of the order by activity.

Must not be here: paging (`page`), SQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway.domain import bounds, ids, parse, parse_page, validate
from gateway.domain.page import AS_ROWS, Page, messages_of
from gateway.domain.thread import ForkSource
from gateway.domain.wire import dump_text
from gateway.errors import InvalidRequest, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gateway.domain.message import Message
    from gateway.domain.page import Fields, PageRead, PageRequest, Rows
    from gateway.domain.principal import Reach
    from gateway.domain.thread import Thread

_FILTERING: Final = ("metadata", "owner", "order_by", "active_", "created_", "unread")
_TIMES: Final = ("created_after", "created_before", "active_after", "active_before")
_KEYS: Final = ("order_by", "owner", "has_owner", "unread", "reader", *_TIMES)
_PAIR: Final = re.compile(r"metadata\[(.*)\]", re.DOTALL)
_EXISTS: Final = "metadata_exists[]"
_ORDERS: Final = ("created", "activity")
_BOOLEANS: Final[dict[str | None, bool]] = {"true": True, "false": False}
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_PLACE: Final = re.compile(r"at_([0-9]{1,18})_(.+)")
_LATEST: Final = 1 << 53
_MAX_SECOND: Final = _LATEST // 1_000


class OrderBy(Enum):
    """What a list of threads is sorted by."""

    CREATED = "created"
    ACTIVITY = "activity"

    __hash__ = object.__hash__  # members are singletons; Enum's own hash runs in Python


class ActivityPlace(NamedTuple):
    """A place in the order by activity, which stays where it is when its thread moves."""

    activity_at: int
    thread_id: str


class MetadataMatch(NamedTuple):
    """A condition on a key of metadata: it has one of some values, any value (None), or it is missing."""

    key: str
    values: tuple[str, ...] | None = None
    is_missing: bool = False

    def matches(self, metadata: Mapping[str, str]) -> bool:
        """Say whether metadata fulfils the condition."""
        value = metadata.get(self.key)
        has_one = value is not None and (self.values is None or value in self.values)
        return has_one != self.is_missing


@dataclass(frozen=True)
class ThreadFilter:
    """The threads that are listed; all conditions must hold. `unread` is meant for the `reader`.

    Units: milliseconds; the bounds of times are exclusive.
    """

    metadata: tuple[MetadataMatch, ...] = ()
    owner: str | None = None
    has_owner: bool | None = None
    created_after: int | None = None
    created_before: int | None = None
    active_after: int | None = None
    active_before: int | None = None
    unread: bool | None = None
    reader: str | None = None

    @cached_property
    def pair(self) -> MetadataMatch | None:
        """The first condition on one value, by whose index a list is read."""
        return next((each for each in self.metadata if len(each.values or ()) == 1 and not each.is_missing), None)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The filter as values of statements: inclusive bounds, a pair, and other conditions on metadata as JSON."""
        created_after = -1 if self.created_after is None else self.created_after
        created_before = _LATEST if self.created_before is None else self.created_before
        further = [
            (_stored(key), None if values is None else dump_text([*map(_stored, values)]), str(int(is_missing)))
            for key, values, is_missing in self.metadata
            if (key, values, is_missing) != self.pair
        ]
        pair = {}
        if self.pair is not None and self.pair.values:
            pair = {"key": _stored(self.pair.key), "value": _stored(self.pair.values[0])}
        times = (self.created_after, self.created_before, self.active_after, self.active_before)
        owned = {}
        if self.has_owner is not None or any(each is not None for each in times):
            owned = {"owned_least": int(self.has_owner is True), "owned_most": int(self.has_owner is not False)}
        return {
            "created_least": created_after // 1_000 + 1,
            "created_most": -(-created_before // 1_000) - 1,
            # No thread was active before 1970: a stored time below 0 is none.
            "active_least": 0 if self.active_after is None else max(0, self.active_after + 1),
            "active_most": _LATEST if self.active_before is None else self.active_before - 1,
            **owned,
            **pair,
            **({"matches": dump_text(further)} if further else {}),
            **({} if self.unread is None else {"reader": self.reader, "unread": int(self.unread)}),
        }

    def narrowing(self, by: OrderBy) -> list[dict[str, Any]]:
        """The conditions that few threads may fulfil, by one of which threads are found, as values of statements.

        There are none where an index is in the order of the list and has only what is listed.
        """
        found: list[dict[str, Any]] = [
            {"few_key": _stored(key)} | ({} if values is None else {"few_values": dump_text([*map(_stored, values)])})
            for key, values, is_missing in self.metadata
            if not is_missing
        ]
        name, *times = (
            ("active", self.active_after, self.active_before)
            if by is OrderBy.CREATED
            else ("created", self.created_after, self.created_before)
        )
        if times != [None, None]:
            found.append({f"few_{name}_{end}": self.values[f"{name}_{end}"] for end in ("least", "most")})
        is_pair_alone = self.metadata == (self.pair,) and len(found) == 1
        return [] if is_pair_alone and self.has_owner is None and self.unread is None else found

    def matches(self, thread: Thread) -> bool:
        """Say whether a thread that was read is listed, as statements do."""
        values, active = self.values, thread.activity_at or 0
        return (
            values["created_least"] <= thread.created_at <= values["created_most"]
            and values["active_least"] <= active <= values["active_most"]
            and self.has_owner in (None, thread.owner is not None)
            and self.owner in (None, thread.owner)
            and all(each.matches(thread.metadata) for each in self.metadata)
        )


_ALL: Final = ThreadFilter()


class Selection(NamedTuple):
    """Which threads are listed, and in which order."""

    by: OrderBy = OrderBy.CREATED
    only: ThreadFilter | None = None

    def cursor_of(self, thread: Thread) -> str:
        """Return the cursor of a thread: its id, or its place in the order by activity."""
        return thread.id if self.by is OrderBy.CREATED else f"at_{thread.activity_at}_{thread.id}"

    def thread_of(self, cursor: str) -> str:
        """Return the id of the thread that a cursor was made of."""
        return cursor if self.by is OrderBy.CREATED else _place(cursor, "after").thread_id

    def narrow(self, reach: Reach) -> Reach | None:
        """Narrow a reach to the owner in the filter; None if the reach has another owner."""
        owner = None if self.only is None else self.only.owner
        if owner is None or owner == reach.owner:
            return reach
        return replace(reach, owner=owner) if reach.owner is None else None

    def narrowing(self) -> list[dict[str, Any]]:
        """The conditions that few threads may fulfil (`ThreadFilter.narrowing`)."""
        return [] if self.only is None else self.only.narrowing(self.by)

    def located(self, page: PageRequest) -> tuple[PageRequest, dict[str, int | str]]:
        """Return a page with the ids of threads as its cursors, and the filter and the times of the cursors."""
        values = (self.only or _ALL).values
        if self.by is OrderBy.CREATED or not page.cursors():
            return page, values
        places = {param: _place(cursor, param) for param, cursor in page.cursors()}
        times = {f"{param}_at": place.activity_at for param, place in places.items()}
        cursors: dict[str, Any] = {param: place.thread_id for param, place in places.items()}
        return replace(page, **cursors), values | times


ALL: Final = Selection()


class Beside(NamedTuple):
    """What the statement of a list also reads of each thread.

    `message` is a page of one message, without thread ids, run, cursors or `with_more`. What `reader` has not read is
    counted up to `most`. `also` may name LAST_READ, the last message that was read, and SOURCE, the source of a fork.
    """

    message: PageRead | None = None
    reader: str | None = None
    most: int = 0
    also: tuple[str, ...] = ()


UNREAD: Final = "unread"
LAST_READ: Final = "last_read"
SOURCE: Final = "source"
NOTHING: Final = Beside()


@dataclass(frozen=True, slots=True)
class ThreadPage(Page["Thread"]):
    """A page of threads, and rows of what was also read of each (`Beside`).

    A row begins with `fields` of the message, nulls where there is none, and ends with its stored bytes. Of its values
    these fields, UNREAD, LAST_READ and SOURCE have `names`.
    """

    rows: list[Sequence[Any]] = field(default_factory=list)
    names: Fields = ()
    fields: Fields = ()

    def column(self, name: str) -> list[Any]:
        """List a value of all threads."""
        return list(map(itemgetter(self.names.index(name)), self.rows))

    def messages(self) -> list[Rows]:
        """List the pages of one message."""
        pages = [([] if id_ is None else [row], False, self.fields, None, None) for id_, row in self._with("id")]
        return list(map(AS_ROWS, pages))

    def last_messages(self) -> list[Message | None]:
        """List the messages."""
        made = iter(messages_of(self.fields, [row for id_, row in self._with("id") if id_ is not None]))
        return [None if id_ is None else next(made) for id_ in self.column("id")]

    def sources(self) -> list[ForkSource | None]:
        """List the sources of forks."""
        at = self.names.index(SOURCE) + 1
        return [None if source is None else ForkSource(source, row[at]) for source, row in self._with(SOURCE)]

    def each(self) -> Iterable[tuple[str, ThreadPage]]:
        """Yield a page of each thread alone, with its id."""
        for thread, row in zip(self.items, self.rows, strict=True):
            yield thread.id, replace(self, items=(thread,), rows=[row])

    def _with(self, name: str) -> Iterable[tuple[Any, Sequence[Any]]]:
        return zip(self.column(name), self.rows, strict=True)


def check_cursors(by: OrderBy, **cursors: str | None) -> None:
    """Check the cursors of the order by activity, which are places and no ids.

    Errors: InvalidRequest.
    """
    if by is OrderBy.ACTIVITY:
        for param, cursor in cursors.items():
            if cursor is not None:
                _place(cursor, param)


def from_query(pairs: Iterable[tuple[str, str]]) -> tuple[PageRequest, Selection]:
    """Parse the query string of REST's list.

    An unknown key that looks like a filter is refused: a list that ignored it would show too much.
    Errors: InvalidRequest.
    """
    pairs = list(pairs)
    given, matches = _filters(pairs)
    by = OrderBy(validate.one_of(given.pop("order_by", "created"), "order_by", _ORDERS))
    query = parse_page.query_parameters(pairs)
    check_cursors(by, after=query.get("after"), before=query.get("before"))
    page = parse_page.from_query(query, cursor_check(by))
    if not matches and not given:
        return page, Selection(by)
    owner, has_owner = given.pop("owner", None), given.pop("has_owner", None)
    unread, reader = given.pop("unread", None), given.pop("reader", None)
    for name, value in (("has_owner", has_owner), ("unread", unread)):
        if value is not None:
            validate.one_of(value, name, ("true", "false"))
    times = {name: _second(value, name) for name, value in given.items()}
    metadata = [
        checked(MetadataMatch(key, values), "metadata", f"metadata[{excerpt(key)}]") for key, values in matches.items()
    ]
    flags = {"has_owner": _BOOLEANS.get(has_owner), "unread": _BOOLEANS.get(unread)}
    only = new_filter(metadata, owner=owner, reader=reader, **flags, **times)
    return page, Selection(by, only)


def _filters(pairs: list[tuple[str, str]]) -> tuple[dict[str, str], dict[str, tuple[str, ...] | None]]:
    """Separate the filters, by name, from the conditions on metadata, by key."""
    given: dict[str, str] = {}
    matches: dict[str, tuple[str, ...] | None] = {}
    for name, value in pairs:
        if (pair := _PAIR.fullmatch(name)) is not None:
            matches[pair[1]] = (*(matches.get(pair[1]) or ()), value)
        elif name == _EXISTS:
            matches.setdefault(value, None)
        elif name in given:
            validate.refuse(f"Duplicate parameter: '{name}'. Expected it at most once.", name, "duplicate_parameter")
        elif name in _KEYS:
            given[name] = value
        elif name.startswith(_FILTERING):
            validate.refuse(f"Unknown parameter: '{excerpt(name)}'.", excerpt(name), "unknown_parameter")
    return given, matches


def cursor_check(by: OrderBy) -> Callable[[str], str | None]:
    """Return the check of a cursor's form; places are checked by `check_cursors`."""
    return str if by is OrderBy.ACTIVITY else ids.as_thread_id


def checked(match: MetadataMatch, key_path: str, path: str) -> MetadataMatch:
    """Check the key and the values of a condition, whose paths are those of the request.

    Errors: InvalidRequest.
    """
    validate.a_string(match.key, key_path, at_most=bounds.METADATA_KEY.number)
    if match.values is not None:
        validate.an_array(list(match.values), path, at_least=1, at_most=bounds.FILTER_VALUES.number)
        for each in match.values:
            validate.a_string(each, path, at_most=bounds.METADATA_VALUE.number)
    return match


def new_filter(
    metadata: list[MetadataMatch], owner: str | None = None, reader: str | None = None, **others: Any
) -> ThreadFilter:
    """Check the number of conditions on metadata, the owner and the reader.

    Errors: InvalidRequest.
    """
    validate.an_array(metadata, "metadata", at_most=bounds.FILTER_MATCHES.number)
    return ThreadFilter(tuple(metadata), parse.owner(owner), reader=parse.owner(reader, "reader"), **others)


def parse_time(text: str) -> int:
    """Parse a time of RFC 3339, in milliseconds; ISO 8601 has more forms.

    Errors: ValueError.
    """
    if not _RFC_3339.fullmatch(text):
        raise ValueError("Expected a time with an offset, such as 2026-08-26T09:30:00Z.")
    found = datetime.fromisoformat(text.upper())
    return (found - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _second(text: str, param: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_SECOND))
    if is_number and (number := int(text)) <= _MAX_SECOND:
        return 1_000 * number
    expected = f"Expected whole seconds since 1970, from 0 to {_MAX_SECOND}."
    validate.refuse(f"Invalid '{param}': '{excerpt(text)}'. {expected}", param, "invalid_value")


def _place(cursor: str, param: str) -> ActivityPlace:
    found = _PLACE.fullmatch(cursor)
    if found is None or ids.as_thread_id(found[2]) is None:
        message = f"Invalid '{param}': '{excerpt(cursor)}'. Expected a cursor of a list that is sorted by activity."
        raise InvalidRequest(message, param=param, code="invalid_value")
    return ActivityPlace(int(found[1]), found[2])


def _stored(text: str) -> str:
    """Return a text as the database has it in its index, which cannot hold a NUL."""
    return text.replace("\0", "\uffff")
