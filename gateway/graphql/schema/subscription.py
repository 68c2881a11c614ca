"""The subscription type.

Must not be here: reading events (`core.follow`), transports (`websocket`, `sse`).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Annotated, Any, Self

import strawberry
from strawberry import UNSET

from gateway.core import follow, follow_list
from gateway.domain import change, ids, validate
from gateway.domain.message import Message as DomainMessage
from gateway.domain.run import Run as DomainRun
from gateway.domain.thread import Thread as DomainThread
from gateway.graphql.context import Context, Info
from gateway.graphql.schema import inputs
from gateway.graphql.schema.argument_paths import names_arguments
from gateway.graphql.schema.runs import Run
from gateway.graphql.schema.types import Edge, Message, MessageEdge, Thread

ThreadId = Annotated[strawberry.ID, strawberry.argument(description="The thread to subscribe to.")]
ResumeAfter = Annotated[
    str | None,
    strawberry.argument(
        description="Resume after this cursor; missed events are delivered first. The cursor of an event, the ID of a"
        " message, or `0` for the start of the thread. If omitted or null, only new events are delivered;"
        " an empty string is an error."
    ),
]


ResumeListAfter = Annotated[
    str | None,
    strawberry.argument(
        description="Resume after this cursor of an event; missed changes are delivered first. If omitted or null, only"
        " new changes are delivered; an empty string is an error."
    ),
]

ListFilter = Annotated[
    inputs.ThreadFilter | None,
    strawberry.argument(
        description="Which threads to follow; all conditions must hold. A thread that no longer matches is removed."
    ),
]


@strawberry.interface(description="An event of a thread.")
class ThreadEvent:
    """The fields of all events."""

    cursor: str = strawberry.field(description="The cursor of the event, for `after`.")


@strawberry.type(description="A message was created.")
class MessageCreated(ThreadEvent):
    """`domain.change.MessageCreated`."""

    message: DomainMessage = strawberry.field(description="The message in its current state.", graphql_type=Message)


@strawberry.type(description="A message was updated, was finished, or its streamed text was saved.")
class MessageUpdated(ThreadEvent):
    """`domain.change.MessageUpdated`."""

    message: DomainMessage = strawberry.field(description="The message in its current state.", graphql_type=Message)


@strawberry.type(description="A message was deleted.")
class MessageDeleted(ThreadEvent):
    """`domain.change.MessageDeleted`."""

    message_id: strawberry.ID = strawberry.field(description="The ID of the deleted message.")


@strawberry.type(
    description="Text was appended to a message in progress. If `offset` is less than the length of the text that"
    " the client has, the client already has this text; if it is greater, the client missed text and "
    "has to read the message again."
)
class MessageDelta(ThreadEvent):
    """`domain.change.MessageDelta`."""

    message_id: strawberry.ID = strawberry.field(description="The ID of the message.")
    part_index: int = strawberry.field(description="The index of the content part, from 0.")
    text: str = strawberry.field(description="The appended text.")
    offset: int = strawberry.field(
        description="The position of the text in the part, in UTF-16 code units like JavaScript's `length`."
    )


@strawberry.type(description="The metadata or tool resources of the thread were updated.")
class ThreadUpdated(ThreadEvent):
    """`domain.change.ThreadUpdated`."""

    thread: DomainThread = strawberry.field(description="The thread in its current state.", graphql_type=Thread)


@strawberry.type(description="The thread was deleted; this is the last event.")
class ThreadDeleted(ThreadEvent):
    """`domain.change.ThreadDeleted`."""

    thread_id: strawberry.ID = strawberry.field(description="The ID of the deleted thread.")


@strawberry.type(description="A run of the thread was created.")
class RunCreated(ThreadEvent):
    """`domain.change.RunCreated`."""

    run: DomainRun = strawberry.field(description="The run in its current state.", graphql_type=Run)


@strawberry.type(description="The status or the metadata of a run was updated.")
class RunUpdated(ThreadEvent):
    """`domain.change.RunUpdated`."""

    run: DomainRun = strawberry.field(description="The run in its current state.", graphql_type=Run)


_LIST_CURSOR = strawberry.field(description="The cursor of the event, for `after`.")


@strawberry.type(description="A thread was created, or imported.")
class ThreadCreated:
    """`domain.change.ThreadCreated`."""

    cursor: str = _LIST_CURSOR
    thread: DomainThread = strawberry.field(description="The thread in its current state.", graphql_type=Thread)


@strawberry.type(description="A thread moved to the top of the list: a message was created or finished.")
class ThreadMoved:
    """`domain.change.ThreadMoved`."""

    cursor: str = _LIST_CURSOR
    thread: DomainThread = strawberry.field(description="The thread in its current state.", graphql_type=Thread)


@strawberry.type(description="The reader has moved the read mark in a thread; only that reader gets this event.")
class ThreadRead:
    """`domain.change.ThreadRead`."""

    cursor: str = _LIST_CURSOR
    thread_id: strawberry.ID = strawberry.field(description="The ID of the thread.")


@strawberry.type(
    description="A thread is not in the list, since it does not match the filter any more. It may not have been in it"
    " before; ignore threads that the client does not have."
)
class ThreadRemoved:
    """`domain.change.ThreadRemoved`."""

    cursor: str = _LIST_CURSOR
    thread: DomainThread = strawberry.field(description="The thread in its current state.", graphql_type=Thread)


ThreadListEvent = Annotated[
    ThreadCreated | ThreadMoved | ThreadUpdated | ThreadDeleted | ThreadRead | ThreadRemoved,
    strawberry.union("ThreadListEvent", description="A change of the list of threads."),
]

EVENTS: Mapping[type[Any], Any] = {
    change.MessageCreated: lambda at, event: MessageCreated(cursor=at, message=event.message),
    change.MessageUpdated: lambda at, event: MessageUpdated(cursor=at, message=event.message),
    change.MessageDeleted: lambda at, event: MessageDeleted(cursor=at, message_id=event.message_id),
    change.MessageDelta: lambda at, event: MessageDelta(
        cursor=at, message_id=event.message_id, part_index=event.part_index, text=event.text, offset=event.offset
    ),
    change.RunCreated: lambda at, event: RunCreated(cursor=at, run=event.run),
    change.RunUpdated: lambda at, event: RunUpdated(cursor=at, run=event.run),
    change.ThreadUpdated: lambda at, event: ThreadUpdated(cursor=at, thread=event.thread),
    change.ThreadDeleted: lambda at, event: ThreadDeleted(cursor=at, thread_id=event.thread_id),
    change.ThreadCreated: lambda at, event: ThreadCreated(cursor=at, thread=event.thread),
    change.ThreadMoved: lambda at, event: ThreadMoved(cursor=at, thread=event.thread),
    change.ThreadRead: lambda at, event: ThreadRead(cursor=at, thread_id=event.thread_id),
    change.ThreadRemoved: lambda at, event: ThreadRemoved(cursor=at, thread=event.thread),
}
EVENT_TYPES = (
    MessageCreated,
    MessageUpdated,
    MessageDeleted,
    MessageDelta,
    RunCreated,
    RunUpdated,
    ThreadUpdated,
    ThreadDeleted,
    ThreadCreated,
    ThreadMoved,
    ThreadRead,
    ThreadRemoved,
)


@strawberry.type(description="The root of all subscriptions.")
class Subscription:
    """The root of all subscriptions."""

    @strawberry.subscription(
        description="`messageAdded` emits every new message of a thread, once and in order.", graphql_type=MessageEdge
    )
    @names_arguments
    async def message_added(self, info: Info, thread_id: ThreadId, after: ResumeAfter = UNSET) -> AsyncIterator[Edge]:
        """Subscribe to new messages."""
        ctx = info.context
        thread = ids.thread_id(thread_id)
        place = await follow.start(ctx.store, ctx.hub, ctx.who, thread, _begin(ctx, after))
        return _Events(ctx, follow.messages(ctx.store, ctx.hub, ctx.who, thread, place), _edge)

    @strawberry.subscription(
        description="`threadEvents` emits every change of a thread, its messages and its runs, once and in order."
    )
    @names_arguments
    async def thread_events(
        self, info: Info, thread_id: ThreadId, after: ResumeAfter = UNSET
    ) -> AsyncIterator[ThreadEvent]:
        """Subscribe to all changes."""
        ctx = info.context
        thread = ids.thread_id(thread_id)
        place = await follow.start(ctx.store, ctx.hub, ctx.who, thread, _begin(ctx, after))
        return _Events(ctx, follow.changes(ctx.store, ctx.hub, ctx.who, thread, place), _event)

    @strawberry.subscription(
        description="`threadListEvents` emits the changes of all threads that the caller can access. No change is"
        " missed. One event covers all changes of a thread since the last one, and an event may be delivered twice."
        " Text that is appended to a message in progress is no change of the list; saving and finishing the text are."
    )
    @names_arguments
    async def thread_list_events(
        self,
        info: Info,
        filter: ListFilter = UNSET,
        after: ResumeListAfter = UNSET,
    ) -> AsyncIterator[ThreadListEvent]:
        """Subscribe to the list of threads."""
        ctx = info.context
        only = inputs.thread_filter(filter)
        if only is not None and only.unread is not None:
            validate.refuse(
                "Invalid 'filter.unread'. A subscription has no such filter.", "filter.unread", "invalid_value"
            )
        place = await follow_list.start(ctx.store, ctx.hub, ctx.who, _begin(ctx, after), only)
        return _Events(ctx, follow_list.changes(ctx.store, ctx.hub, ctx.who, place, only), _event)


def _begin(ctx: Context, after: str | None) -> str | None:
    """Return the cursor to resume after: that of the transport, else that of the argument."""
    asked = inputs.or_null(after)
    return asked if ctx.resume_after is None or asked == "" else ctx.resume_after  # an empty string is refused later


class _Events:
    """The events of a follower, as objects of the schema; a generator would take 0.4 KB more of memory."""

    __slots__ = ("_ctx", "_found", "_make")

    def __init__(
        self, ctx: Context, found: AsyncGenerator[follow.Emitted[Any], None], make: Callable[[str, Any], Any]
    ) -> None:
        self._ctx = ctx
        self._found = found
        self._make = make

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        cursor, item, answers = await anext(self._found)
        event = self._make(cursor, item)
        self._ctx.last_cursor, self._ctx.answers = event.cursor, answers
        return event

    async def aclose(self) -> None:
        """Stop following."""
        await self._found.aclose()


def _edge(_cursor: str, message: DomainMessage) -> Edge:
    return Edge(message.id, message)


def _event(cursor: str, found: change.Change | change.ListChange) -> Any:
    return EVENTS[type(found)](cursor, found)
