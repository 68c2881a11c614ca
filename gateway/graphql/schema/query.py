"""The query type.

Must not be here: threads and messages (`types`).
"""

from collections.abc import Awaitable
from functools import partial
from typing import Annotated

import strawberry
from strawberry import UNSET

from gateway.core import assistants, follow_list, runs, threads
from gateway.domain import bounds, ids, thread_list, validate
from gateway.domain.message import Message
from gateway.domain.run import Assistant
from gateway.domain.run import Run as DomainRun
from gateway.domain.thread import Thread
from gateway.domain.thread_list import NOTHING, Selection
from gateway.graphql.context import Context, Info
from gateway.graphql.schema import inputs, types
from gateway.graphql.schema.argument_paths import names_arguments
from gateway.graphql.schema.page_arguments import page_request
from gateway.graphql.schema.runs import AssistantConnection, Run
from gateway.graphql.schema.scalars import SortOrder, ThreadOrder

_as_assistant = partial(ids.as_other_id, "asst")
Found = Thread | Message | DomainRun | Assistant
MAX_NODES = bounds.NODES.number

Id = Annotated[strawberry.ID, strawberry.argument(description="The ID of a thread, message, run or assistant.")]
OrderBy = Annotated[ThreadOrder, strawberry.argument(description="What the list is sorted by, in either direction.")]
Filter = Annotated[
    inputs.ThreadFilter | None, strawberry.argument(description="Which threads to return; all conditions must hold.")
]
Ids = Annotated[
    list[strawberry.ID], strawberry.argument(description="The IDs of up to 100 threads, messages, runs and assistants.")
]


@strawberry.type(description="The root of all queries.")
class Query:
    """The root of all queries."""

    @strawberry.field(
        description="Get a thread, message, run or assistant by its ID; null if there is none.",
        graphql_type=types.Node | None,
    )
    @names_arguments
    async def node(self, info: Info, id: Id) -> Found | None:
        """Find the object by the prefix of its ID."""
        return await _find(info.context, id, "id")

    @strawberry.field(
        description="Get several objects by their IDs, in the same order; null for each ID that does not exist.",
        graphql_type=list[types.Node | None],
    )
    @names_arguments
    async def nodes(self, info: Info, ids: Ids) -> list[Awaitable[Found | None]]:
        """Find all objects with at most two statements."""
        validate.an_array(ids, "ids", at_most=MAX_NODES)
        return [_find(info.context, each, f"ids[{n}]") for n, each in enumerate(ids)]

    @strawberry.field(description="Get a thread by its ID; null if there is none.", graphql_type=types.Thread | None)
    @names_arguments
    async def thread(self, info: Info, id: Id) -> Thread | None:
        """Find a thread."""
        thread_id = ids.as_thread_id(ids.not_empty(id, "id"))
        return None if thread_id is None else await info.context.threads.load(thread_id)

    @strawberry.field(description="All threads that the caller can access, newest first by default.")
    @names_arguments
    async def threads(
        self,
        info: Info,
        limit: types.Limit = UNSET,
        first: types.First = UNSET,
        last: types.Last = UNSET,
        after: types.After = UNSET,
        before: types.Before = UNSET,
        order: types.ListOrder = SortOrder.DESC,
        order_by: OrderBy = ThreadOrder.CREATED,
        filter: Filter = UNSET,
    ) -> types.ThreadConnection:
        """Read one page."""
        selected = Selection(thread_list.OrderBy(order_by.value), inputs.thread_filter(filter))
        thread_list.check_cursors(selected.by, after=inputs.or_null(after), before=inputs.or_null(before))
        arguments = {"limit": limit, "first": first, "last": last, "after": after, "before": before}
        asked = page_request(thread_list.cursor_check(selected.by), order, **arguments)
        ctx = info.context
        beside, ctx.beside = ctx.beside, NOTHING
        cursor = await follow_list.cursor(ctx.store, ctx.hub, ctx.who) if ctx.reads_event_cursor else ""
        found = await threads.list_page(ctx.store, ctx.who, asked, selected, beside)
        return types.ThreadConnection(found=found, asked=asked, selected=selected, cursor=cursor)

    @strawberry.field(description="Get a run by its ID; null if there is none.", graphql_type=Run | None)
    @names_arguments
    async def run(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The ID of a run.")],
    ) -> DomainRun | None:
        """Find a run."""
        return await runs.find(info.context.store, info.context.who, ids.not_empty(id, "id"))

    @strawberry.field(description="All assistants of the project, newest first by default.")
    @names_arguments
    async def assistants(
        self,
        info: Info,
        limit: types.Limit = UNSET,
        first: types.First = UNSET,
        last: types.Last = UNSET,
        after: types.After = UNSET,
        before: types.Before = UNSET,
        order: types.ListOrder = SortOrder.DESC,
    ) -> AssistantConnection:
        """Read one page."""
        arguments = {"limit": limit, "first": first, "last": last, "after": after, "before": before}
        asked = page_request(_as_assistant, order, **arguments)
        found = await assistants.list_page(info.context.store, info.context.who, asked)
        return AssistantConnection(found=found, asked=asked)


async def _find(context: Context, node_id: str, path: str) -> Found | None:
    ids.not_empty(node_id, path)
    if (thread_id := ids.as_thread_id(node_id)) is not None:
        return await context.threads.load(thread_id)
    if (message_id := ids.as_message_id(node_id)) is not None:
        return await context.messages.load(message_id)
    if ids.as_other_id("run", node_id) is not None:
        return await runs.find(context.store, context.who, node_id)
    if ids.as_other_id("asst", node_id) is not None:
        return await assistants.get_if_any(context.store, context.who, node_id)
    return None
