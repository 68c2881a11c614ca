"""Prefetch: read a thread together with the page of messages that the operation selects of it.

The fast executor provides the look-ahead; without it the same fields are resolved one by one.
A mutation looks ahead too, at what it need not read.
Must not be here: page arguments (`types`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from gateway.core import messages
from gateway.domain import ids, parse
from gateway.domain.message import Message
from gateway.errors import AnswerTooLarge, InvalidRequest
from gateway.graphql.context import PageKey, Prefetched
from gateway.graphql.schema.types import MessageConnection, page_request

_BOUNDS: Final = ("limit", "first", "last", "after", "before")
_ARGUMENTS: Final = ("order", "runId", *_BOUNDS)
_IDS: Final = frozenset({"id", "thread_id"})
_KEPT: Final = 64  # parsed arguments; clients request the same pages again and again

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.domain.page import PageRequest
    from gateway.domain.thread import Thread
    from gateway.fast_executor import SelectedField
    from gateway.fast_executor.hints import LookAhead
    from gateway.graphql.context import Context

    Resolve = Callable[[Any, Context, Mapping[str, Any]], Any]


async def find_thread(
    _source: Any, context: Context, arguments: Mapping[str, Any], look_ahead: LookAhead
) -> Thread | None:
    """Resolve `Query.thread`, and keep the page for `Thread.messages` (`find_messages`).

    Errors: AnswerTooLarge.
    """
    thread_id = ids.as_thread_id(ids.not_empty(arguments["id"], "id"))
    if thread_id is None:
        return None
    fields = look_ahead()
    asked = [child for child in fields if child.name == "messages"]
    key = _key_of(thread_id, asked[0]) if len(asked) == 1 else None
    if key is None:
        return await context.threads.load(thread_id)
    [child] = asked
    store, who, (_, page, run_id) = context.store, context.who, key
    read = Message._fields if child.columns is None else child.columns.get(Message, ())
    thread, found, ends = await messages.thread_with_page(store, who, thread_id, page, run_id=run_id, fields=read)
    if not context.keep_prefetched(thread_id, Prefetched(child.arguments, key, found, ends)):
        del found
        raise AnswerTooLarge
    return thread


def find_messages(resolve: Resolve, source: Thread, context: Context, arguments: Mapping[str, Any]) -> Any:
    """Resolve `Thread.messages` with the prefetched page, or by its own resolver if there is none.

    An empty page may be due to an unknown cursor; the resolver checks that.
    """
    prefetched = context.prefetched.pop(source.id, None)
    if prefetched is None or not prefetched.found.rows or prefetched.arguments != arguments:
        return resolve(source, context, arguments)
    context.count_delivered(prefetched.found)
    return MessageConnection(found=prefetched.found, asked=prefetched.key, of=source, ends=prefetched.ends)


def append_text(
    resolve: Resolve, source: Any, context: Context, arguments: Mapping[str, Any], look_ahead: LookAhead
) -> Any:
    """Resolve `Mutation.appendMessageText`, which reads the message only if more than its ids is selected."""
    selected = look_ahead()
    columns = [(each.columns or {}).get(Message) for each in selected]
    context.reads_changed = not selected or any(each is None or not _IDS.issuperset(each) for each in columns)
    return resolve(source, context, arguments)


def _key_of(thread_id: ids.ThreadId, child: SelectedField) -> PageKey | None:
    """Parse the page request; None for invalid arguments, which the resolver refuses."""
    try:
        page, run_id = _asked(tuple(map(child.arguments.get, _ARGUMENTS)))
    except InvalidRequest:
        return None
    return PageKey(thread_id, page, run_id)


@lru_cache(_KEPT)
def _asked(given: tuple[Any, ...]) -> tuple[PageRequest, str | None]:
    order, run_id, *bounds = given
    asked = page_request(ids.as_message_id, order, **dict(zip(_BOUNDS, bounds, strict=True)))
    return asked, parse.reference(run_id, "run_id")
