"""Endpoints of threads: parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.core import forking, threads
from gateway.domain import parse
from gateway.domain.page import WIRE, PageRead, PageRequest
from gateway.domain.thread_list import NOTHING, Beside
from gateway.errors import NotFound
from gateway.rest import render
from gateway.rest.call import LAST_MESSAGE, OF_THREADS

if TYPE_CHECKING:
    from gateway.rest.call import Call
    from gateway.web.request import Answer

_LAST: Final = Beside(PageRead((), PageRequest(limit=1), fields=WIRE, with_more=False))


async def create_thread(call: Call) -> Answer:
    """Answer POST /threads."""
    new = parse.new_thread(await call.json())
    return render.thread(await threads.create(call.store, call.who, new, call.begin_attempt()), call.expanded)


async def list_threads(call: Call) -> Answer:
    """Answer GET /threads, an extension of the original API."""
    page, selected = call.thread_list()
    expanded = call.expanded_from(OF_THREADS)
    beside = _LAST if LAST_MESSAGE in expanded else NOTHING
    found = await threads.list_page(call.store, call.who, page, selected, beside)
    return render.threads_page(found, expanded, selected)


async def get_thread(call: Call) -> Answer:
    """Answer GET /threads/{thread_id}."""
    thread_id, expanded = call.thread_id, call.expanded_from(OF_THREADS)
    if LAST_MESSAGE not in expanded:
        return render.read_thread(await threads.get(call.store, call.who, thread_id), expanded)
    found = await threads.list_beside(call.store, call.who, [thread_id], _LAST)
    if not found.items:
        raise NotFound("thread", thread_id)
    return render.read_thread(found.items[0], expanded, *render.last_messages(found))


async def modify_thread(call: Call) -> Answer:
    """Answer POST /threads/{thread_id}."""
    patch = parse.thread_patch(await call.json())
    return render.thread(await threads.update(call.store, call.who, call.thread_id, patch), call.expanded)


async def fork_thread(call: Call) -> Answer:
    """Answer POST /threads/{thread_id}/fork, an extension of the original API."""
    new = parse.new_fork(await call.json())
    forked = await forking.fork(call.store, call.who, call.thread_id, new, call.begin_attempt())
    return render.thread(forked, call.expanded)


async def delete_thread(call: Call) -> Answer:
    """Answer DELETE /threads/{thread_id}."""
    thread_id = call.thread_id
    await threads.delete(call.store, call.who, thread_id)
    return render.deleted("thread", thread_id)
