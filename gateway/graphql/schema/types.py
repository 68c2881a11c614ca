"""Object types of threads and messages, and their connections.

Most only describe: their fields are read from objects of the domain, whose class `is_type_of` checks.
Must not be here: content of messages (`content`), operations (`query`, `mutation`), validation (`domain`).
"""

# Modules with Strawberry classes do not postpone annotations (`from __future__ import annotations`): Strawberry would
# parse each of them several times, 3 % of a server's start.

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from itertools import repeat
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from gateway.core import messages, paging, read_marks, runs, threads
from gateway.domain import bounds, ids, page, parse, validate
from gateway.domain.message import Message as DomainMessage
from gateway.domain.preview import preview_of
from gateway.domain.run import Run as DomainRun
from gateway.domain.thread import ForkSource
from gateway.domain.thread import Thread as DomainThread
from gateway.domain.thread_list import ALL, LAST_READ, SOURCE, UNREAD, Beside, OrderBy, Selection, ThreadPage
from gateway.graphql.context import BesideKey, Context, Info, PageKey
from gateway.graphql.schema.argument_paths import names_arguments
from gateway.graphql.schema.content import Attachment, ContentPart, is_a
from gateway.graphql.schema.inputs import or_null
from gateway.graphql.schema.page_arguments import page_request
from gateway.graphql.schema.scalars import DateTime, IncompleteReason, MessageRole, MessageStatus, Metadata, SortOrder

_as_run = partial(ids.as_other_id, "run")
Limit = Annotated[
    int | None,
    strawberry.argument(
        description="The page size, from 1 to 100; the default is 20. With `before` and without `after`, the page "
        "ends at `before`. Use at most one of `limit`, `first` and `last`."
    ),
]
First = Annotated[int | None, strawberry.argument(description="Return the first n items, 0 to 100.")]
Last = Annotated[int | None, strawberry.argument(description="Return the last n items, 0 to 100.")]
After = Annotated[
    str | None, strawberry.argument(description="Return items after this cursor: an edge's `cursor` or an item's `id`.")
]
Before = Annotated[
    str | None,
    strawberry.argument(description="Return items before this cursor: an edge's `cursor` or an item's `id`."),
]
ListOrder = Annotated[SortOrder, strawberry.argument(description="The sort order, by creation time.")]
UnreadMax = Annotated[int, strawberry.argument(description="Count no further, 1 to 100.")]
Reader = Annotated[
    str | None, strawberry.argument(description="The reader; only for callers with an API key, which need one.")
]
PreviewLength = Annotated[int, strawberry.argument(description="Its length in characters, 10 to 500.")]
preview_length = partial(validate.an_integer, path="length", at_least=10, at_most=bounds.PREVIEW.number)
unread_max = partial(validate.an_integer, path="max", at_least=1, at_most=bounds.PAGE.number)
LAST_MESSAGE = page.PageRequest(limit=1)
_OF_SOURCE = Beside(also=(SOURCE,))
RunId = Annotated[strawberry.ID | None, strawberry.argument(description="Return only messages of this run.")]


@strawberry.interface(description="An object with a globally unique ID.")
class Node:
    """Relay's interface; ids are the raw ones, the same as in the REST face."""

    id: strawberry.ID = strawberry.field(description="The globally unique ID, the same as in the REST API.")


@strawberry.type(description="Pagination information of a page.")
class PageInfo:
    """Relay's PageInfo, exact on both sides."""

    has_next_page: bool = strawberry.field(description="Whether the list has items after this page.")
    has_previous_page: bool = strawberry.field(description="Whether the list has items before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first item; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last item; null on an empty page.")


def page_info(found: page.Page[Any] | page.Rows, ends: page.PageEnds) -> PageInfo:
    """Make the PageInfo of a page."""
    start, end = found.id_at_ends
    return PageInfo(
        has_next_page=ends.has_next, has_previous_page=ends.has_previous, start_cursor=start, end_cursor=end
    )


class Edge(NamedTuple):
    """The value of an edge; a page has one per item, so it is a tuple."""

    cursor: str
    node: Any


class EdgeOfThread(Edge):
    """The value of an edge of threads; the fast executor finds the type by the class."""

    __slots__ = ()


def edges_of(found: page.Page[Any] | page.Rows, kind: type[Edge]) -> list[Edge]:
    """Pair each item of a page with its cursor."""
    items = found.items
    # Without a Python loop, which takes four times as long.
    return list(map(partial(tuple.__new__, kind), zip(map(_ID, items), items, strict=True)))


@strawberry.type(description="A message with its cursor.")
class MessageEdge:
    """Relay's edge; the cursor is the ID of the message, and stays valid when the message is deleted."""

    cursor: str = strawberry.field(description="The cursor, for `after` and `before`.")
    node: DomainMessage = strawberry.field(
        description="The message.", graphql_type=Annotated["Message", strawberry.lazy(__name__)]
    )


class MessagePage(NamedTuple):
    """The value of a connection of messages; a list of threads has one for each of them, so it is a tuple."""

    found: page.Rows
    rows: list[Any] | None  # if only some columns of the messages were read
    asked: page.PageRequest
    run_id: str | None
    thread_id: ids.ThreadId
    total: int  # of all messages of the thread

    @property
    def items(self) -> tuple[DomainMessage, ...]:
        """The messages, which the fast executor makes edges of."""
        return self.found.items

    @property
    def preloaded_page_info(self) -> PageInfo | None:
        """The result of `pageInfo`, if it needs no further read."""
        found = self.found
        return None if found.edges is None else page_info(found, paging.ends_of(self.asked, found, found.edges))

    @property
    def preloaded_total(self) -> int | None:
        """The stored number of messages, unless the list is filtered."""
        return self.total if self.run_id is None else None


# Without a Python call for each of them.
_AS_PAGE: Callable[[Any], MessagePage] = partial(tuple.__new__, MessagePage)
_ROWS, _ID, _MESSAGE_COUNT = map(attrgetter, ("rows", "id", "message_count"))


def message_pages(
    found: Sequence[page.Rows], asked: page.PageRequest, run_id: str | None, of: Sequence[DomainThread]
) -> list[MessagePage]:
    """Make the values of connections of threads; they do not refer to the threads, which may refer to them."""
    has_columns = found and len(found[0].fields) < len(page.WHOLE)
    rows: Iterable[Any] = map(_ROWS, found) if has_columns else repeat(None)
    pages = zip(found, rows, repeat(asked), repeat(run_id), map(_ID, of), map(_MESSAGE_COUNT, of), strict=False)
    return list(map(_AS_PAGE, pages))


@strawberry.type(description="A page of messages.")
class MessageConnection:
    """Relay's connection for one page."""

    @strawberry.field(description="The messages of this page with their cursors.", graphql_type=list[MessageEdge])
    def edges(self, root: strawberry.Parent[MessagePage]) -> list[Edge]:
        """Pair each message with its cursor."""
        return edges_of(root.found, Edge)

    @strawberry.field(description="The messages of this page.", graphql_type=list["Message"])
    def nodes(self, root: strawberry.Parent[MessagePage]) -> tuple[DomainMessage, ...]:
        """Return the messages without cursors."""
        return root.items

    @strawberry.field(description="Pagination information of this page.")
    async def page_info(self, info: Info, root: strawberry.Parent[MessagePage]) -> PageInfo:
        """Check for items before and after the page."""
        if (known := root.preloaded_page_info) is not None:
            return known
        ctx = info.context
        ends = await messages.page_ends(ctx.store, ctx.who, root.thread_id, root.asked, root.found, run_id=root.run_id)
        return page_info(root.found, ends)

    @strawberry.field(description="The number of messages on all pages.")
    async def total_count(self, info: Info, root: strawberry.Parent[MessagePage]) -> int:
        """Return the stored number of messages, or count those of one run."""
        if root.run_id is None:
            return root.total
        return await messages.count_of_run(info.context.store, info.context.who, root.thread_id, root.run_id)


class RunPage(NamedTuple):
    """The value of a page of a thread's runs."""

    found: page.Page[DomainRun]
    asked: page.PageRequest
    thread_id: ids.ThreadId


@strawberry.type(description="The thread that another one was forked from.")
class ForkedFrom:
    """`domain.thread.ForkSource`."""

    thread_id: strawberry.ID = strawberry.field(description="The ID of the thread.")
    message_id: strawberry.ID | None = strawberry.field(
        description="The ID of the last message that was copied; null where the whole thread was."
    )

    is_type_of = is_a(ForkSource)


@strawberry.type(description="A number of unread messages.")
class UnreadCount:
    """A count with an upper limit."""

    value: int = strawberry.field(description="The number, at most `max`.")
    exact: bool = strawberry.field(description="Whether there are no more.")


@strawberry.type(description="A conversation: an ordered list of messages.")
class Thread(Node):
    """`domain.thread.Thread`."""

    created_at: DateTime = strawberry.field(description="When the thread was created.")
    metadata: Metadata = strawberry.field(description="Key-value pairs set by the application.")
    tool_resources: JSON | None = strawberry.field(
        description="Files and vector stores available to tools in this thread, in the format of the REST API."
    )
    owner: str | None = strawberry.field(description="The end user who owns the thread; null if it has no owner.")
    last_activity_at: DateTime = strawberry.field(
        description="When a message was last created or finished; of a thread without messages, when it was created. "
        "Changes of metadata and deletions are no activity."
    )
    message_count: int = strawberry.field(description="The number of messages.")
    title: str | None = strawberry.field(
        description="By convention, `title` of the metadata; null without it. Set it with `updateThread`."
    )
    idempotency_key: str | None = strawberry.field(
        description="The key that the thread was created with, by which a client recognizes its own; null without one."
    )

    is_type_of = is_a(DomainThread)

    @strawberry.field(
        description="The messages of the thread, newest first by default.", graphql_type=MessageConnection
    )
    @names_arguments
    async def messages(
        self,
        info: Info,
        root: strawberry.Parent[DomainThread],
        limit: Limit = UNSET,
        first: First = UNSET,
        last: Last = UNSET,
        after: After = UNSET,
        before: Before = UNSET,
        order: ListOrder = SortOrder.DESC,
        run_id: RunId = UNSET,
    ) -> MessagePage:
        """Read a page, batched with pages of other threads."""
        asked = page_request(ids.as_message_id, order, limit=limit, first=first, last=last, after=after, before=before)
        key = PageKey(root.id, asked, parse.reference(or_null(run_id), "run_id"))
        ctx = info.context
        found = await ctx.pages.load(key)
        assert found is not None  # noqa: S101  (each thread has a page, which may be empty)
        if not found.rows and asked.cursors():
            # An empty page may be due to an unknown cursor, which is checked now.
            read = page.PageRead((root.id,), asked, key.run_id)
            [found] = await messages.list_pages(ctx.store, ctx.who, read)
        ctx.count_delivered(found)
        return message_pages([found], asked, key.run_id, [root])[0]

    @strawberry.field(
        description="The runs of the thread, newest first by default.",
        graphql_type=Annotated["RunConnection", strawberry.lazy("gateway.graphql.schema.runs")],  # noqa: F821  (imported when the schema is built)
    )
    @names_arguments
    async def runs(
        self,
        info: Info,
        root: strawberry.Parent[DomainThread],
        limit: Limit = UNSET,
        first: First = UNSET,
        last: Last = UNSET,
        after: After = UNSET,
        before: Before = UNSET,
        order: ListOrder = SortOrder.DESC,
    ) -> RunPage:
        """Read a page, batched with pages of other threads."""
        arguments = {"limit": limit, "first": first, "last": last, "after": after, "before": before}
        asked = page_request(_as_run, order, **arguments)
        ctx = info.context
        found = await ctx.run_pages.load(PageKey(root.id, asked, None))
        assert found is not None  # noqa: S101  (as above)
        if not found.items and asked.cursors():
            found = await runs.list_page(ctx.store, ctx.who, root.id, asked)  # checks the cursor
        return RunPage(found, asked, root.id)

    @strawberry.field(
        description="The thread that this one was forked from; null if it was not, or if that is deleted or belongs to "
        "another user.",
        graphql_type=ForkedFrom | None,
    )
    async def forked_from(self, info: Info, root: strawberry.Parent[DomainThread]) -> ForkSource | None:
        """Find it, batched with other threads."""
        found = await info.context.threads_beside.load(BesideKey(root.id, _OF_SOURCE))
        return None if found is None else found.sources()[0]

    @strawberry.field(
        description="The last message; null if the thread has none.",
        graphql_type=Annotated["Message", strawberry.lazy(__name__)] | None,
    )
    async def last_message(self, info: Info, root: strawberry.Parent[DomainThread]) -> DomainMessage | None:
        """Find it, batched with those of other threads."""
        return await _last_message(info.context, root.id)

    @strawberry.field(
        description="The beginning of the last message's text in one line; of a message in progress, the text so far. "
        "Empty without a text."
    )
    @names_arguments
    async def preview(
        self, info: Info, root: strawberry.Parent[DomainThread], length: PreviewLength = bounds.PREVIEW_DEFAULT
    ) -> str:
        """Cut the text, which is read with those of other threads."""
        most = preview_length(length)
        found = await _last_message(info.context, root.id)
        return "" if found is None else preview_of(found.content_json, found.plain_text, most)

    @strawberry.field(
        description="How many messages of assistants, and of other end users and thread tokens, a reader has not read;"
        " null for an API key that names no reader."
    )
    @names_arguments
    async def unread_count(
        self,
        info: Info,
        root: strawberry.Parent[DomainThread],
        max: UnreadMax = 100,
        reader: Reader = UNSET,
    ) -> UnreadCount | None:
        """Count, batched with other threads."""
        most = unread_max(max)
        found = await _unread(info.context, root.id, reader, most)
        return None if found is None else unread_count_of(found.column(UNREAD)[0], most)

    @strawberry.field(description="The ID of the last message that a reader has read; null if there is none.")
    @names_arguments
    async def read_up_to(
        self, info: Info, root: strawberry.Parent[DomainThread], reader: Reader = UNSET
    ) -> strawberry.ID | None:
        """Find it, batched with other threads."""
        found = await _unread(info.context, root.id, reader, bounds.PAGE.number)
        return None if found is None else found.column(LAST_READ)[0]


@lru_cache(1_024)
def unread_count_of(number: int, most: int) -> UnreadCount:
    """Make the object of a count that was limited to one above a number."""
    return UnreadCount(value=min(number, most), exact=number <= most)


def reader_of(context: Context, reader: str | None) -> str | None:
    """Return the reader that a field's argument names, or that the caller is; None if there is none.

    Errors: InvalidRequest.
    """
    return read_marks.reader_of(context.who, parse.owner(or_null(reader), "reader"))


async def _unread(context: Context, thread_id: str, reader: str | None, most: int) -> ThreadPage | None:
    name = reader_of(context, reader)
    if name is None:
        return None
    return await context.threads_beside.load(BesideKey(thread_id, Beside(reader=name, most=most, also=(LAST_READ,))))


async def _last_message(context: Context, thread_id: ids.ThreadId) -> DomainMessage | None:
    found = await context.pages.load(PageKey(thread_id, LAST_MESSAGE, None))
    if found is None or not found.rows:
        return None
    context.count_delivered(found)
    return found.items[0]


@strawberry.type(description="A message in a thread.")
class Message(Node):
    """`domain.message.Message`."""

    thread_id: strawberry.ID = strawberry.field(description="The ID of the thread.")
    created_at: DateTime = strawberry.field(description="When the message was created.")
    role: MessageRole = strawberry.field(description="The author of the message.")
    status: MessageStatus = strawberry.field(description="The status of the message.")
    content: list[ContentPart] = strawberry.field(description="The content of the message, in parts.")
    text: str = strawberry.field(description="The text of all text parts, joined with line breaks.")
    attachments: list[Attachment] = strawberry.field(description="Files attached to the message.")
    metadata: Metadata = strawberry.field(description="Key-value pairs set by the application.")
    run_id: strawberry.ID | None = strawberry.field(
        description="The ID of the run that created the message; null if there was none."
    )
    assistant_id: strawberry.ID | None = strawberry.field(
        description="The ID of the assistant that created the message; null if there was none."
    )
    completed_at: DateTime | None = strawberry.field(description="When the message was completed; null otherwise.")
    incomplete_at: DateTime | None = strawberry.field(description="When the message became incomplete; null otherwise.")
    incomplete_reason: IncompleteReason | None = strawberry.field(
        description="Why the message is incomplete; null otherwise."
    )
    idempotency_key: str | None = strawberry.field(
        description="The key that the message was created with, by which a client recognizes its own; null without one."
    )

    is_type_of = is_a(DomainMessage)

    @strawberry.field(description="The thread of the message.", graphql_type=Thread)
    async def thread(self, info: Info, root: strawberry.Parent[DomainMessage]) -> DomainThread:
        """Find the thread."""
        return await info.context.thread_of(root.thread_id)


@strawberry.type(description="A thread with its cursor.")
class ThreadEdge:
    """Relay's edge; the cursor is the ID of the thread or a place, and stays valid when the thread is deleted."""

    cursor: str = strawberry.field(description="The cursor, for `after` and `before` in the same order.")
    node: DomainThread = strawberry.field(description="The thread.", graphql_type=Thread)


@strawberry.type(description="A page of threads.")
class ThreadConnection:
    """Relay's connection for one page."""

    found: strawberry.Private[ThreadPage]
    asked: strawberry.Private[page.PageRequest]
    cursor: strawberry.Private[str] = ""
    selected: strawberry.Private[Selection] = ALL
    ends: strawberry.Private[page.PageEnds | None] = None

    @property
    def items(self) -> tuple[DomainThread, ...]:
        """The threads."""
        return self.found.items

    @property
    def preloaded_edges(self) -> list[Edge]:
        """The result of `edges`."""
        if self.selected.by is OrderBy.CREATED:
            return edges_of(self.found, EdgeOfThread)
        return [EdgeOfThread(self.selected.cursor_of(each), each) for each in self.found.items]

    @property
    def preloaded_page_info(self) -> PageInfo | None:
        """The result of `pageInfo`, if it needs no further read."""
        return None if self.ends is None else self._page_info(self.ends)

    def _page_info(self, ends: page.PageEnds) -> PageInfo:
        info, items = page_info(self.found, ends), self.found.items
        if items:
            info.start_cursor, info.end_cursor = (self.selected.cursor_of(each) for each in (items[0], items[-1]))
        return info

    @strawberry.field(description="The threads of this page with their cursors.", graphql_type=list[ThreadEdge])
    def edges(self) -> list[Edge]:
        """Pair each thread with its cursor."""
        return self.preloaded_edges

    @strawberry.field(description="The threads of this page.", graphql_type=list[Thread])
    def nodes(self) -> tuple[DomainThread, ...]:
        """Return the threads without cursors."""
        return self.found.items

    @strawberry.field(description="Pagination information of this page.")
    async def page_info(self, info: Info) -> PageInfo:
        """Check for items before and after the page."""
        ctx = info.context
        ends = self.ends or await threads.page_ends(ctx.store, ctx.who, self.asked, self.found, self.selected)
        return self._page_info(ends)

    @strawberry.field(
        description="The cursor for `after` of `threadListEvents`: it emits all changes that this page does not show."
    )
    def event_cursor(self) -> str:
        """Return the place that was read before the page."""
        return self.cursor

    @strawberry.field(
        description="The number of threads on all pages. Counting them adds 100 to the cost of the operation."
    )
    async def total_count(self, info: Info) -> int:
        """Count the threads; a stored number would make all creates wait for one row."""
        return await threads.count(info.context.store, info.context.who, self.selected)
