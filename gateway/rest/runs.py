"""Endpoints of runs and their steps: parse, call, render."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.core import runs
from gateway.domain import ids, parse_run, wire_run
from gateway.domain.run_events import Seen
from gateway.rest import render
from gateway.rest.run_stream import begin_stream, resumed_stream

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from gateway.rest.call import Call
    from gateway.web.request import Answer

_as_run = partial(ids.as_other_id, "run")
_as_step = partial(ids.as_other_id, "step")


async def create_run(call: Call) -> Answer | ASGIApp:
    """Answer POST /threads/{thread_id}/runs."""
    new = parse_run.new_run(await call.json())
    run = await call.runs.create(call.who, call.thread_id, new, call.begin_attempt())
    return await begin_stream(call, run, Seen()) if new.is_streamed else render.run(run)


async def create_thread_and_run(call: Call) -> Answer | ASGIApp:
    """Answer POST /threads/runs."""
    new = parse_run.new_run(await call.json(), with_thread=True)
    thread, run = await call.runs.create_with_thread(call.who, new, call.begin_attempt())
    return await begin_stream(call, run, Seen(), thread) if new.is_streamed else render.run(run)


async def list_runs(call: Call) -> Answer:
    """Answer GET /threads/{thread_id}/runs."""
    page, _ = call.page(_as_run)
    return render.page_of(await runs.list_page(call.store, call.who, call.thread_id, page), wire_run.run)


async def get_run(call: Call) -> Answer | ASGIApp:
    """Answer GET /threads/{thread_id}/runs/{run_id}; with `Last-Event-ID`, by the rest of its stream."""
    run = await runs.get(call.store, call.who, call.thread_id, call.run_id)
    last = call.request.headers.get("last-event-id")
    return render.run(run) if last is None else await resumed_stream(call, run, last)


async def modify_run(call: Call) -> Answer:
    """Answer POST /threads/{thread_id}/runs/{run_id}."""
    patch = parse_run.run_patch(await call.json())
    return render.run(await runs.update(call.store, call.who, call.thread_id, call.run_id, patch))


async def cancel_run(call: Call) -> Answer:
    """Answer POST /threads/{thread_id}/runs/{run_id}/cancel."""
    return render.run(await call.runs.cancel(call.who, call.thread_id, call.run_id))


async def submit_tool_outputs(call: Call) -> Answer | ASGIApp:
    """Answer POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs."""
    outputs = parse_run.tool_outputs(await call.json())
    run, seen = await call.runs.submit_tool_outputs(call.who, call.thread_id, call.run_id, outputs)
    return await begin_stream(call, run, seen) if outputs.is_streamed else render.run(run)


async def list_steps(call: Call) -> Answer:
    """Answer GET /threads/{thread_id}/runs/{run_id}/steps."""
    page, _ = call.page(_as_step)
    listed = await runs.list_steps(call.store, call.who, call.thread_id, call.run_id, page)
    return render.page_of(listed, wire_run.step)


async def get_step(call: Call) -> Answer:
    """Answer GET /threads/{thread_id}/runs/{run_id}/steps/{step_id}."""
    step_id = ids.other_id("step", "run step", call.request.path_params["step_id"])
    return render.step(await runs.get_step(call.store, call.who, call.thread_id, call.run_id, step_id))
