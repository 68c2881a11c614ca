"""Prefetch: the read that a query needs for the selected pages of messages of threads, and for several nodes.

The fast executor provides the look-ahead; without it the same fields are resolved one by one. A mutation looks ahead
too, for what it need not read.
Must not be here: page arguments (`page_arguments`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from gateway.core import messages, threads
from gateway.domain import ids
from gateway.domain.message import Message
from gateway.domain.page import Rows
from gateway.domain.thread import Thread, thread_by_id
from gateway.graphql.execution.listed_fields import PREFETCHED, by_name, fields_of, listed_fields, page_of
from gateway.graphql.schema.query import MAX_NODES
from gateway.graphql.schema.types import message_pages

_IDS: Final = frozenset({"id", "thread_id"})
_ALONE: Final = frozenset({"id", "messages", "edges", "nodes", "pageInfo"})  # of a thread whose row is not read

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from gateway.domain.page import PageRead
    from gateway.fast_executor.hints import Columns, LookAhead, SelectedField
    from gateway.graphql.context import Context
    from gateway.graphql.schema.types import ThreadConnection

    Resolve = Callable[[Any, Context, Mapping[str, Any]], Any]


async def find_thread(
    _source: Any, context: Context, arguments: Mapping[str, Any], look_ahead: LookAhead
) -> Thread | None:
    """Resolve `Query.thread`, and read the page that is selected of it by the same statement, or alone.

    Errors: AnswerTooLarge.
    """
    thread_id = ids.as_thread_id(ids.not_empty(arguments["id"], "id"))
    if thread_id is None:
        return None
    selected = look_ahead()
    read = page_of([thread_id], by_name(selected))
    if read is None:
        return await context.threads.load(thread_id)
    thread = None
    if _is_page_alone(selected):
        alone = read._replace(with_edges=read.with_more)
        [page] = await messages.list_pages(context.store, context.who, alone, known=True)
        thread = thread_by_id(thread_id) if page.rows else None
    if thread is None:
        [page] = await messages.list_pages(context.store, context.who, read._replace(with_thread=True), known=True)
        thread = page.thread
    if thread is not None:
        # A reference cycle of both would stay in memory until the next garbage collection.
        _prefetch(context, [thread], read, [Rows(*page[:-1], None)])
    return thread


def _is_page_alone(selected: Sequence[SelectedField]) -> bool:
    """Say whether only a page is selected of a thread; its messages, if any, show that it exists."""
    return _ALONE.issuperset(name for each in selected for name in (each.name, *each.within))


async def find_threads(
    resolve: Callable[..., Awaitable[ThreadConnection]],
    source: Any,
    context: Context,
    arguments: Mapping[str, Any],
    look_ahead: LookAhead,
) -> ThreadConnection:
    """Resolve `Query.threads`, and read what is selected of each thread by the same statement.

    Pages of several messages are read by a second one.
    Errors: AnswerTooLarge, and those of the resolver.
    """
    selected = look_ahead()
    wanted = listed_fields(context, selected)
    context.beside = wanted.beside
    connection = await resolve(source, context, arguments)
    found = connection.found
    if any(each.name == "pageInfo" for each in selected):
        connection.ends = await threads.page_ends(
            context.store, context.who, connection.asked, found, connection.selected
        )
    if not found.items:
        return connection
    wanted.keep(context, found)
    if wanted.page is not None:
        read = wanted.page._replace(thread_ids=[each.id for each in found.items])
        pages = await messages.list_pages(context.store, context.who, read, known=True)
        _prefetch(context, found.items, read, pages)
    return connection


def find_messages(resolve: Resolve, source: Thread, context: Context, arguments: Mapping[str, Any]) -> Any:
    """Resolve `Thread.messages` with the prefetched page, or by its own resolver if there is none."""
    return source.__dict__.get(PREFETCHED["messages"]) or resolve(source, context, arguments)


async def find_node(
    resolve: Resolve, source: Any, context: Context, arguments: Mapping[str, Any], columns: Columns | None
) -> Any:
    """Resolve `Query.node`: of a message, read what is selected of it, where no other field shares the statement.

    Errors: AnswerTooLarge, and those of the resolver.
    """
    message_id = ids.as_message_id(arguments["id"])
    if message_id is None or asyncio.current_task() is not context.task:
        return await resolve(source, context, arguments)
    return (await context.load_messages([message_id], fields_of(columns))).get(message_id)


async def find_nodes(
    resolve: Resolve, source: Any, context: Context, arguments: Mapping[str, Any], columns: Columns | None
) -> Any:
    """Resolve `Query.nodes` with one read of threads and one of messages, or by its resolver where that refuses an ID.

    Errors: AnswerTooLarge, and those of the resolver.
    """
    asked: list[str] = arguments["ids"]
    if len(asked) > MAX_NODES or not all(asked):
        return await resolve(source, context, arguments)
    unique = dict.fromkeys(asked)
    message_ids = [each for each in unique if ids.as_message_id(each)]
    others = unique.keys() - message_ids
    thread_ids = [each for each in others if ids.as_thread_id(each)]
    if len(thread_ids) < len(others):  # runs and assistants, which are few
        return await resolve(source, context, arguments)
    found: dict[str, Thread | Message | None] = {}
    if thread_ids:
        found.update(await threads.get_many(context.store, context.who, thread_ids))
    if message_ids:
        found.update(await context.load_messages(message_ids, fields_of(columns)))
    return [found.get(each) for each in asked]


def append_text(
    resolve: Resolve, source: Any, context: Context, arguments: Mapping[str, Any], look_ahead: LookAhead
) -> Any:
    """Resolve `Mutation.appendMessageText`, which reads the message only if more than its ids is selected."""
    selected = look_ahead()
    columns = [(each.columns or {}).get(Message) for each in selected]
    context.reads_changed = not selected or any(each is None or not _IDS.issuperset(each) for each in columns)
    return resolve(source, context, arguments)


def note_root_key(resolve: Resolve, source: Any, context: Context, arguments: Mapping[str, Any], key: str) -> Any:
    """Resolve a mutation that may be a replay, which is reported by its response key."""
    context.root_key = key
    return resolve(source, context, arguments)


def _prefetch(context: Context, found: Sequence[Thread], read: PageRead, pages: Sequence[Rows]) -> None:
    """Store a page in each thread; an empty one may be due to an unknown cursor, which the resolver checks.

    Errors: AnswerTooLarge.
    """
    context.count_prefetched(*[each.rows for each in pages])
    _, page, run_id, *_ = read
    has_cursor = bool(page.cursors())
    for thread, each in zip(found, message_pages(pages, page, run_id, found), strict=True):
        if each.found.rows or not has_cursor:
            thread.__dict__[PREFETCHED["messages"]] = each  # beside its cached properties
