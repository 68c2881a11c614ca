"""Object types of threads, messages, their parts and their lists.

Most are descriptions only: the values that their fields are read from are the domain's own objects, and
`is_type_of` says which of them a type stands for.
Must not be here: operations (`query`, `mutation`), rules on what may be asked (`domain`).
"""

# Here and in its neighbours with Strawberry's classes annotations are no text (`from __future__ import annotations`):
# it would parse each of them several times, a thirtieth of a server's start.

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Annotated, Any, NamedTuple

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from gateway.core import messages, threads
from gateway.domain import ids, message, page, parse, parse_page
from gateway.domain.message import Message as DomainMessage
from gateway.domain.thread import Thread as DomainThread
from gateway.errors import NotFound
from gateway.graphql.context import Info, PageKey
from gateway.graphql.schema.argument_paths import names_arguments
from gateway.graphql.schema.scalars import DateTime, IncompleteReason, MessageRole, MessageStatus, Metadata, SortOrder

Limit = Annotated[
    int | None,
    strawberry.argument(
        description="How many items, from 1 to 100, 20 if nothing is said. With `before` alone, those next to it. "
        "At most one of `limit`, `first` and `last` may be given."
    ),
]
First = Annotated[int | None, strawberry.argument(description="How many items from the start, from 0 to 100.")]
Last = Annotated[int | None, strawberry.argument(description="How many items from the end, from 0 to 100.")]
After = Annotated[
    str | None, strawberry.argument(description="Only items behind this one: an edge's `cursor`, or an `id`.")
]
Before = Annotated[
    str | None, strawberry.argument(description="Only items in front of this one: an edge's `cursor`, or an `id`.")
]
ListOrder = Annotated[SortOrder, strawberry.argument(description="The direction in which the list is walked.")]
RunId = Annotated[strawberry.ID | None, strawberry.argument(description="Only messages that this run wrote.")]


@lru_cache(1_024)  # most pages are asked for in a few ways; what is wrong is not kept
def page_request(as_cursor: Callable[[str], str | None], order: SortOrder, **arguments: Any) -> page.PageRequest:
    """Parse the arguments of a list; one that was left out is as good as null."""
    given = {name: None if value is UNSET else value for name, value in arguments.items()}
    return parse_page.from_arguments(as_cursor, order=page.Order(order.value), **given)


def is_a(kind: type[Any]) -> Any:
    """Make the `is_type_of` of a type whose values are objects of a domain class."""
    return classmethod(lambda _cls, value, _info: isinstance(value, kind))


@strawberry.interface(description="Anything that can be found again by its id.")
class Node:
    """Relay's interface; ids are the raw ones, the same as in the REST face."""

    id: strawberry.ID = strawberry.field(description="The id, the same as in the REST face.")


@strawberry.type(description="A place in a text that cites a file.")
class FileCitation:
    """`domain.message.FileCitation`."""

    text: str = strawberry.field(description="The mark in the text that stands for the citation.")
    start_index: int | None = strawberry.field(
        description="Where the mark begins, counted in characters from 0, where that was said."
    )
    end_index: int | None = strawberry.field(description="Where the mark has ended, where that was said.")
    file_id: str = strawberry.field(description="The file that is cited.")
    quote: str | None = strawberry.field(description="The words of the file that are cited; only in older messages.")

    is_type_of = is_a(message.FileCitation)


@strawberry.type(description="A place in a text that stands for a file which was made.")
class FilePath:
    """`domain.message.FilePath`."""

    text: str = strawberry.field(description="The path in the text that stands for the file.")
    start_index: int | None = strawberry.field(
        description="Where the path begins, counted in characters from 0, where that was said."
    )
    end_index: int | None = strawberry.field(description="Where the path has ended, where that was said.")
    file_id: str = strawberry.field(description="The file that was made.")

    is_type_of = is_a(message.FilePath)


@strawberry.type(description="A place in a text that cites a page of the web.")
class UrlCitation:
    """`domain.message.UrlCitation`."""

    text: str = strawberry.field(description="The mark in the text that stands for the citation.")
    start_index: int | None = strawberry.field(
        description="Where the mark begins, counted in characters from 0, where that was said."
    )
    end_index: int | None = strawberry.field(description="Where the mark has ended, where that was said.")
    url: str = strawberry.field(description="The address of the page.")
    title: str | None = strawberry.field(description="The title of the page, where that was said.")

    is_type_of = is_a(message.UrlCitation)


Annotation = Annotated[
    FileCitation | FilePath | UrlCitation,
    strawberry.union("Annotation", description="What stands behind a place in a text."),
]


@strawberry.type(description="A text and what stands behind places in it.")
class Text:
    """`domain.message.Text`."""

    value: str = strawberry.field(description="The text itself.")
    annotations: list[Annotation] = strawberry.field(description="Citations and files, in the order of the text.")


@strawberry.type(description="A part of a message that is text.")
class TextContent:
    """`domain.message.TextContent`."""

    type: str = strawberry.field(description="Always `text`.")
    text: Text = strawberry.field(description="The text with its annotations.")

    is_type_of = is_a(message.TextContent)


@strawberry.type(description="An image that was uploaded.")
class ImageFile:
    """`domain.message.ImageFile`."""

    file_id: str = strawberry.field(description="The uploaded file.")
    detail: str = strawberry.field(description="How closely a model looks at it: `auto`, `low` or `high`.")


@strawberry.type(description="A part of a message that is an uploaded image.")
class ImageFileContent:
    """`domain.message.ImageFileContent`."""

    type: str = strawberry.field(description="Always `image_file`.")
    image_file: ImageFile = strawberry.field(description="The image.")

    is_type_of = is_a(message.ImageFileContent)


@strawberry.type(description="An image on the web.")
class ImageUrl:
    """`domain.message.ImageUrl`."""

    url: str = strawberry.field(description="Where the image is.")
    detail: str = strawberry.field(description="How closely a model looks at it: `auto`, `low` or `high`.")


@strawberry.type(description="A part of a message that is an image on the web.")
class ImageUrlContent:
    """`domain.message.ImageUrlContent`."""

    type: str = strawberry.field(description="Always `image_url`.")
    image_url: ImageUrl = strawberry.field(description="The image.")

    is_type_of = is_a(message.ImageUrlContent)


@strawberry.type(description="A part of a message in which a model says that it will not answer.")
class RefusalContent:
    """`domain.message.RefusalContent`."""

    type: str = strawberry.field(description="Always `refusal`.")
    refusal: str = strawberry.field(description="What the model said.")

    is_type_of = is_a(message.RefusalContent)


ContentPart = Annotated[
    TextContent | ImageFileContent | ImageUrlContent | RefusalContent,
    strawberry.union("ContentPart", description="One part of what a message says."),
]


@strawberry.type(description="A file that came with a message.")
class Attachment:
    """`domain.message.Attachment`."""

    file_id: str | None = strawberry.field(description="The file, unless it lies outside of the API.")
    tools: list[str] = strawberry.field(
        description="The tools that may read it: `code_interpreter`, `file_search`, or both."
    )


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """Relay's PageInfo, exact on both sides."""

    has_next_page: bool = strawberry.field(description="Whether the list goes on behind this page.")
    has_previous_page: bool = strawberry.field(description="Whether the list begins in front of this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge, if there is one.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge, if there is one.")


def page_info(found: page.Page[Any] | page.Rows[Any], ends: page.PageEnds) -> PageInfo:
    """Make the PageInfo of a page that was read."""
    start, end = found.id_at_ends
    return PageInfo(
        has_next_page=ends.has_next, has_previous_page=ends.has_previous, start_cursor=start, end_cursor=end
    )


class Edge(NamedTuple):
    """What an edge's fields are read from; a page has one for each item, so it has to be light."""

    cursor: str
    node: Any


class EdgeOfThread(Edge):
    """The same for a list of threads: by the class of a value one knows its type."""

    __slots__ = ()


def edges_of(found: page.Page[Any] | page.Rows[Any], kind: type[Edge]) -> list[Edge]:
    """Pair each item of a page with its cursor."""
    items = found.items
    # Without a step of Python's own for each of them, which takes four times as long.
    return list(map(partial(tuple.__new__, kind), zip([item.id for item in items], items, strict=True)))


@strawberry.type(description="A message and its place in a list.")
class MessageEdge:
    """Relay's edge; the cursor is the message's id, which keeps its place also when the message is deleted."""

    cursor: str = strawberry.field(description="The place, to go on from with `after` or `before`.")
    node: DomainMessage = strawberry.field(
        description="The message.", graphql_type=Annotated["Message", strawberry.lazy(__name__)]
    )


@strawberry.type(description="A page of a thread's messages.")
class MessageConnection:
    """Relay's connection over one page that was read."""

    found: strawberry.Private[page.Page[DomainMessage] | page.Rows[DomainMessage]]
    asked: strawberry.Private[PageKey]
    of: strawberry.Private[DomainThread]
    ends: strawberry.Private[page.PageEnds | None] = None

    @property
    def items(self) -> tuple[DomainMessage, ...]:
        """The messages, which compiled operations make edges of."""
        return self.found.items

    @property
    def rows(self) -> Sequence[Sequence[Any]] | None:
        """What was read of them, where that is not all of them."""
        return self.found.rows if isinstance(self.found, page.Rows) else None

    @property
    def known_page_info(self) -> PageInfo | None:
        """What `pageInfo` gives, where nothing needs to be read for it."""
        return None if self.ends is None else page_info(self.found, self.ends)

    @property
    def known_total(self) -> int | None:
        """The count that is kept, where it is of all messages."""
        return self.of.message_count if self.asked.run_id is None else None

    @strawberry.field(description="The messages of this page, each with its cursor.", graphql_type=list[MessageEdge])
    def edges(self) -> list[Edge]:
        """Pair each message with its cursor."""
        return edges_of(self.found, Edge)

    @strawberry.field(description="The messages of this page.", graphql_type=list["Message"])
    def nodes(self) -> tuple[DomainMessage, ...]:
        """Give the messages alone."""
        return self.found.items

    @strawberry.field(description="Where this page lies in the list.")
    async def page_info(self, info: Info) -> PageInfo:
        """Look beyond both ends of the page."""
        ctx, asked = info.context, self.asked
        ends = self.ends or await messages.page_ends(
            ctx.store, ctx.who, self.of.id, asked.page, self.found, run_id=asked.run_id
        )
        return page_info(self.found, ends)

    @strawberry.field(description="How many messages the list has, on all its pages.")
    async def total_count(self, info: Info) -> int:
        """Give the count that is kept, or count the messages of the one run that was asked for."""
        if self.asked.run_id is None:
            return self.of.message_count
        return await messages.count_of_run(info.context.store, info.context.who, self.of.id, self.asked.run_id)


@strawberry.type(description="A conversation: messages in their order.")
class Thread(Node):
    """`domain.thread.Thread`."""

    created_at: DateTime = strawberry.field(description="When the thread was made.")
    metadata: Metadata = strawberry.field(description="What the application has noted on the thread.")
    tool_resources: JSON | None = strawberry.field(
        description="Files and vector stores that tools may use in this thread, as the REST face shows them."
    )
    owner: str | None = strawberry.field(description="The end user that the thread belongs to, if it belongs to one.")

    is_type_of = is_a(DomainThread)

    @strawberry.field(description="The messages of the thread, newest first if nothing is said.")
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
    ) -> MessageConnection:
        """Read a page, together with the pages of other threads that are asked for in the same step."""
        asked = page_request(ids.as_message_id, order, limit=limit, first=first, last=last, after=after, before=before)
        key = PageKey(root.id, asked, parse.reference(None if run_id is UNSET else run_id, "run_id"))
        ctx = info.context
        found = await ctx.pages.load(key)
        if not found.items and asked.cursors():
            # An empty page does not tell an unknown cursor from the end of the list; asked alone, it does.
            found = await messages.list_page(ctx.store, ctx.who, root.id, asked, key.run_id)
        ctx.show(found)
        return MessageConnection(found=found, asked=key, of=root)


@strawberry.type(description="What one side said at one time.")
class Message(Node):
    """`domain.message.Message`."""

    thread_id: strawberry.ID = strawberry.field(description="The id of the thread that the message belongs to.")
    created_at: DateTime = strawberry.field(description="When the message was made.")
    role: MessageRole = strawberry.field(description="Who speaks.")
    status: MessageStatus = strawberry.field(description="How far the message has come.")
    content: list[ContentPart] = strawberry.field(description="What is said, part by part.")
    text: str = strawberry.field(description="What the text parts say, one below the other.")
    attachments: list[Attachment] = strawberry.field(description="Files that came with the message.")
    metadata: Metadata = strawberry.field(description="What the application has noted on the message.")
    run_id: strawberry.ID | None = strawberry.field(description="The run that wrote the message, if one did.")
    assistant_id: strawberry.ID | None = strawberry.field(
        description="The assistant that wrote the message, if one did."
    )
    completed_at: DateTime | None = strawberry.field(description="When the message became whole.")
    incomplete_at: DateTime | None = strawberry.field(description="When the message broke off.")
    incomplete_reason: IncompleteReason | None = strawberry.field(description="Why the message broke off.")

    is_type_of = is_a(DomainMessage)

    @strawberry.field(description="The thread that the message belongs to.", graphql_type=Thread)
    async def thread(self, info: Info, root: strawberry.Parent[DomainMessage]) -> DomainThread:
        """Find the thread."""
        found = await info.context.threads.load(root.thread_id)
        if found is None:  # deleted since the message was read
            raise NotFound("thread", root.thread_id)
        return found


@strawberry.type(description="A thread and its place in a list.")
class ThreadEdge:
    """Relay's edge; the cursor is the thread's id, which keeps its place also when the thread is deleted."""

    cursor: str = strawberry.field(description="The place, to go on from with `after` or `before`.")
    node: DomainThread = strawberry.field(description="The thread.", graphql_type=Thread)


@strawberry.type(description="A page of threads.")
class ThreadConnection:
    """Relay's connection over one page that was read."""

    found: strawberry.Private[page.Page[DomainThread]]
    asked: strawberry.Private[page.PageRequest]

    @strawberry.field(description="The threads of this page, each with its cursor.", graphql_type=list[ThreadEdge])
    def edges(self) -> list[Edge]:
        """Pair each thread with its cursor."""
        return edges_of(self.found, EdgeOfThread)

    @strawberry.field(description="The threads of this page.", graphql_type=list[Thread])
    def nodes(self) -> tuple[DomainThread, ...]:
        """Give the threads alone."""
        return self.found.items

    @strawberry.field(description="Where this page lies in the list.")
    async def page_info(self, info: Info) -> PageInfo:
        """Look beyond both ends of the page."""
        ctx = info.context
        return page_info(self.found, await threads.page_ends(ctx.store, ctx.who, self.asked, self.found))

    @strawberry.field(
        description="How many threads the list has, on all its pages. They are counted when this is asked for, which "
        "costs as much as 100 objects."
    )
    async def total_count(self, info: Info) -> int:
        """Count: a number that is kept would make all creates wait for one row."""
        return await threads.count(info.context.store, info.context.who)
