"""Endpoints of messages: parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core import messages
from gateway.domain import ids, parse
from gateway.domain.page import WIRE, PageRead
from gateway.rest import render

if TYPE_CHECKING:
    from gateway.rest.call import Call
    from gateway.web.request import Answer


async def create_message(call: Call) -> Answer:
    """Answer POST /threads/{thread_id}/messages."""
    new = parse.new_message(await call.json())
    return render.message(
        await messages.create(call.store, call.who, call.thread_id, new, call.begin_attempt()), call.expanded
    )


async def list_messages(call: Call) -> Answer:
    """Answer GET /threads/{thread_id}/messages."""
    page, run_id = call.page(ids.as_message_id)
    run_id = parse.reference(run_id, "run_id")
    read = PageRead((call.thread_id,), page, run_id, (*WIRE, *call.expanded))
    [listed] = await messages.list_pages(call.store, call.who, read)
    return render.messages_page(listed)


async def get_message(call: Call) -> Answer:
    """Answer GET /threads/{thread_id}/messages/{message_id}."""
    return render.message(await messages.get(call.store, call.who, call.thread_id, call.message_id), call.expanded)


async def modify_message(call: Call) -> Answer:
    """Answer POST /threads/{thread_id}/messages/{message_id}."""
    patch = parse.message_patch(await call.json())
    return render.message(
        await messages.update(call.store, call.who, call.thread_id, call.message_id, patch), call.expanded
    )


async def delete_message(call: Call) -> Answer:
    """Answer DELETE /threads/{thread_id}/messages/{message_id}."""
    await messages.delete(call.store, call.who, call.thread_id, call.message_id)
    return render.deleted("thread.message", call.message_id)
