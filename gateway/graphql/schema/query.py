"""The query type.

Must not be here: threads and messages (`types`).
"""

from collections.abc import Awaitable
from typing import Annotated

import strawberry
from strawberry import UNSET

from gateway.core import threads
from gateway.domain import bounds, ids, validate
from gateway.domain.message import Message
from gateway.domain.thread import Thread
from gateway.graphql.context import Context, Info
from gateway.graphql.schema import types
from gateway.graphql.schema.argument_paths import names_arguments
from gateway.graphql.schema.scalars import SortOrder

MAX_NODES = bounds.NODES.number

Id = Annotated[strawberry.ID, strawberry.argument(description="The ID of a thread or a message.")]
Ids = Annotated[list[strawberry.ID], strawberry.argument(description="The IDs of up to 100 threads and messages.")]


@strawberry.type(description="The root of all queries.")
class Query:
    """The root of all queries."""

    @strawberry.field(
        description="Get a thread or a message by its ID; null if there is none.", graphql_type=types.Node | None
    )
    @names_arguments
    async def node(self, info: Info, id: Id) -> Thread | Message | None:  # noqa: A002  (Relay's name)
        """Find the object by the prefix of its ID."""
        return await _find(info.context, id, "id")

    @strawberry.field(
        description="Get several threads and messages by their IDs, in the same order; null for each ID that does not"
        " exist.",
        graphql_type=list[types.Node | None],
    )
    @names_arguments
    async def nodes(self, info: Info, ids: Ids) -> list[Awaitable[Thread | Message | None]]:
        """Find all objects with at most two statements."""
        validate.an_array(ids, "ids", at_most=MAX_NODES)
        return [_find(info.context, each, f"ids[{n}]") for n, each in enumerate(ids)]

    @strawberry.field(description="Get a thread by its ID; null if there is none.", graphql_type=types.Thread | None)
    @names_arguments
    async def thread(self, info: Info, id: Id) -> Thread | None:  # noqa: A002  (Relay's name)
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
    ) -> types.ThreadConnection:
        """Read one page."""
        arguments = {"limit": limit, "first": first, "last": last, "after": after, "before": before}
        asked = types.page_request(ids.as_thread_id, order, **arguments)
        found = await threads.list_page(info.context.store, info.context.who, asked)
        return types.ThreadConnection(found=found, asked=asked)


async def _find(context: Context, node_id: str, path: str) -> Thread | Message | None:
    ids.not_empty(node_id, path)
    if (thread_id := ids.as_thread_id(node_id)) is not None:
        return await context.threads.load(thread_id)
    if (message_id := ids.as_message_id(node_id)) is not None:
        return await context.messages.load(message_id)
    return None
