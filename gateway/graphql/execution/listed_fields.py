"""What is read with each thread of a list for its selected fields, and the values of these.

Arguments that a resolver refuses, and fields that are selected twice with different arguments, are left to the
resolvers.
Must not be here: reading (`prefetch`), page arguments (`page_arguments`).
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from gateway.domain import ids, parse
from gateway.domain.message import Message
from gateway.domain.page import WHOLE, PageRead
from gateway.domain.preview import preview_of
from gateway.domain.thread_list import LAST_READ, SOURCE, UNREAD, Beside, ThreadPage
from gateway.errors import InvalidRequest
from gateway.graphql.schema.page_arguments import page_request
from gateway.graphql.schema.types import (
    LAST_MESSAGE,
    message_pages,
    preview_length,
    reader_of,
    unread_count_of,
    unread_max,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.domain.page import PageRequest
    from gateway.fast_executor.hints import Columns, SelectedField
    from gateway.graphql.context import Context

    Fields = dict[str, SelectedField]
    Values = dict[str, Callable[[ThreadPage], Iterable[Any]]]  # of all threads, by the name of a field

# The attributes of a thread that have the results of its fields.
PREFETCHED: Final = {
    name: f"prefetched_{name}"
    for name in ("messages", "preview", "lastMessage", "unreadCount", "readUpTo", "forkedFrom")
}
_WITH_MESSAGE: Final = {"messages", "lastMessage"}  # in the response; a preview is short
_OF_PREVIEW: Final = ("content_json", "plain_text")
_ARGUMENTS: Final = ("order", "runId", "limit", "first", "last", "after", "before")


@dataclass(slots=True)
class ListedFields:
    """What is read with each thread, the page of messages that is read after all of them, and the values."""

    beside: Beside
    page: PageRead | None
    values: Values

    def keep(self, context: Context, found: ThreadPage) -> None:
        """Keep the values in the threads of a page.

        Errors: AnswerTooLarge.
        """
        if self.beside.message is not None:
            context.count_prefetched(found.rows, times=len(_WITH_MESSAGE & self.values.keys()))
        for name, make in self.values.items():
            # Without Python code for each of them.
            deque(map(setattr, found.items, repeat(PREFETCHED[name]), make(found)), 0)


def listed_fields(context: Context, selected: Sequence[SelectedField]) -> ListedFields:
    """Find what has to be read for the selected fields of each thread of a list."""
    fields = by_name(selected)
    values: Values = {}
    page = page_of((), fields)
    message = _message(fields, page, values)
    reader, most, also = _unread(context, fields, values)
    if "forkedFrom" in fields:
        values["forkedFrom"] = ThreadPage.sources
        also = (*also, SOURCE)
    return ListedFields(Beside(message, reader, most, also), None if "messages" in values else page, values)


def by_name(selected: Sequence[SelectedField]) -> Fields:
    """Find the fields that can be prefetched; the selections of one that is selected twice are joined."""
    found: Fields = {}
    differing = set()
    for each in selected:
        if each.name in PREFETCHED and (known := found.setdefault(each.name, each)) is not each:
            known.within |= each.within
            if known.columns != each.columns:
                known.columns = None
            if known.arguments != each.arguments:
                differing.add(each.name)
    return {name: each for name, each in found.items() if name not in differing} if differing else found


def page_of(thread_ids: Sequence[str], fields: Fields) -> PageRead | None:
    """Find the selected page of messages of threads, if there is only one, and no resolver refuses its arguments."""
    if (field := fields.get("messages")) is None:
        return None
    try:
        given: Iterable[Any] = map(field.arguments.get, _ARGUMENTS)
        order, run_id, limit, first, last, after, before = given
        page = page_request(ids.as_message_id, order, limit=limit, first=first, last=last, after=after, before=before)
        run_id = parse.reference(run_id, "run_id")
    except InvalidRequest:
        return None
    return PageRead(thread_ids, page, run_id, fields_of(field.columns), with_more="pageInfo" in field.within)


def _message(fields: Fields, page: PageRead | None, values: Values) -> PageRead | None:
    """Find the message to read of each thread: that of the page, if it is a page of one, or the last one."""
    needed: tuple[str, ...] = ()
    if (length := _valid(preview_length, fields.get("preview"), "length")) is not None:
        needed = _OF_PREVIEW
        values["preview"] = partial(_previews, length)
    if (last := fields.get("lastMessage")) is not None:
        needed = (*needed, *fields_of(last.columns))
        values["lastMessage"] = ThreadPage.last_messages
    if page is None or page.page.limit != 1 or page.with_more or page.run_id or page.page.cursors():
        page = None
    if values and (page is None or page.page != LAST_MESSAGE):
        return PageRead((), LAST_MESSAGE, None, tuple(dict.fromkeys(needed)), with_more=False)
    if page is not None:
        values["messages"] = partial(_pages, page.page)
        page = page._replace(fields=tuple(dict.fromkeys((*page.fields, *needed))))
    return page


def _unread(context: Context, fields: Fields, values: Values) -> tuple[str | None, int, tuple[str, ...]]:
    """Find the common reader of both fields, the limit of the count, and whether the last read message is needed."""
    most = _valid(unread_max, fields.get("unreadCount"), "max") or 0
    readers: dict[str, str | None] = {}
    for name in ("unreadCount", "readUpTo"):
        if name in fields and (name == "readUpTo" or most):
            with suppress(InvalidRequest):
                readers[name] = reader_of(context, fields[name].arguments.get("reader"))
    reader = next(iter(readers.values()), None)
    for name, own in readers.items():
        if own is None:
            values[name] = lambda found: [None] * len(found.items)
        elif own == reader:
            values[name] = partial(_counts, most) if name == "unreadCount" else _last_read
    return reader, most, (LAST_READ,) if reader is not None and "readUpTo" in values else ()


def _valid(parse_: Callable[[Any], int], field: SelectedField | None, argument: str) -> int | None:
    try:
        return None if field is None else parse_(field.arguments[argument])
    except InvalidRequest:
        return None


def fields_of(columns: Columns | None) -> tuple[str, ...]:
    """Return the fields of messages that are read: all, where the columns are unknown."""
    return WHOLE if columns is None else columns.get(Message, ())


def _pages(asked: PageRequest, found: ThreadPage) -> Iterable[Any]:
    return message_pages(found.messages(), asked, None, found.items)


def _previews(length: int, found: ThreadPage) -> Iterable[str]:
    contents, plain = map(found.column, _OF_PREVIEW)
    return map(_preview, contents, plain, repeat(length))


def _preview(content: bytes | None, plain: int | None, length: int) -> str:
    return "" if content is None else preview_of(content, plain, length)


def _counts(most: int, found: ThreadPage) -> Iterable[Any]:
    return map(unread_count_of, found.column(UNREAD), repeat(most))


def _last_read(found: ThreadPage) -> Iterable[str | None]:
    return found.column(LAST_READ)
