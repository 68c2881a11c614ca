"""Endpoints of messages: parse, call, render."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.core import messages
from gateway.domain import ids, parse, parse_page
from gateway.rest import render
from gateway.web.request import pairs_of

if TYPE_CHECKING:
    from gateway.domain.page import PageRequest
    from gateway.rest.call import Call
    from gateway.web.request import Answer

_KEPT: Final = 64  # query strings that are read once; clients ask for the same page again and again


@lru_cache(_KEPT)
def _asked(query_string: bytes) -> tuple[PageRequest, str | None]:
    """Read which page is asked for, and of which run."""
    query = parse_page.query_parameters(pairs_of(query_string))
    return parse_page.from_query(query, ids.as_message_id), parse.reference(query.get("run_id"), "run_id")


async def create_message(call: Call) -> Answer:
    """Answer POST /threads/{thread_id}/messages."""
    new = parse.new_message(await call.json())
    return render.message(await messages.create(call.store, call.who, call.thread_id, new))


async def list_messages(call: Call) -> Answer:
    """Answer GET /threads/{thread_id}/messages."""
    page, run_id = _asked(call.request.scope["query_string"])
    return render.messages_page(await messages.list_written_page(call.store, call.who, call.thread_id, page, run_id))


async def get_message(call: Call) -> Answer:
    """Answer GET /threads/{thread_id}/messages/{message_id}."""
    return render.message(await messages.get(call.store, call.who, call.thread_id, call.message_id))


async def modify_message(call: Call) -> Answer:
    """Answer POST /threads/{thread_id}/messages/{message_id}."""
    patch = parse.message_patch(await call.json())
    return render.message(await messages.update(call.store, call.who, call.thread_id, call.message_id, patch))


async def delete_message(call: Call) -> Answer:
    """Answer DELETE /threads/{thread_id}/messages/{message_id}."""
    await messages.delete(call.store, call.who, call.thread_id, call.message_id)
    return render.deleted("thread.message", call.message_id)
