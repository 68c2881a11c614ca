"""Endpoints of assistants: parse, call, render."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.core import assistants
from gateway.domain import ids, parse_run, wire_run
from gateway.rest import render

if TYPE_CHECKING:
    from gateway.rest.call import Call
    from gateway.web.request import Answer

_as_cursor = partial(ids.as_other_id, "asst")


async def create_assistant(call: Call) -> Answer:
    """Answer POST /assistants."""
    fields = parse_run.new_assistant(await call.json())
    return render.assistant(await assistants.create(call.store, call.who, fields, call.begin_attempt()))


async def list_assistants(call: Call) -> Answer:
    """Answer GET /assistants."""
    page, _ = call.page(_as_cursor)
    return render.page_of(await assistants.list_page(call.store, call.who, page), wire_run.assistant)


async def get_assistant(call: Call) -> Answer:
    """Answer GET /assistants/{assistant_id}."""
    return render.assistant(await assistants.get(call.store, call.who, _id(call)))


async def modify_assistant(call: Call) -> Answer:
    """Answer POST /assistants/{assistant_id}."""
    given, patch = parse_run.assistant_patch(await call.json())
    return render.assistant(await assistants.update(call.store, call.who, _id(call), given, patch))


async def delete_assistant(call: Call) -> Answer:
    """Answer DELETE /assistants/{assistant_id}."""
    assistant_id = _id(call)
    await assistants.delete(call.store, call.who, assistant_id)
    return render.deleted("assistant", assistant_id)


def _id(call: Call) -> str:
    return ids.other_id("asst", "assistant", call.request.path_params["assistant_id"])
