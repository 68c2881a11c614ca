"""Subscriptions as server-sent events, one connection each.

Source: graphql-sse protocol, "Distinct connections mode"; WHATWG HTML, "Server-sent events" (`Last-Event-ID`).
Must not be here: which request comes here (`http`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import ExecutionResult
from starlette.responses import StreamingResponse

from gateway.errors import Unavailable
from gateway.graphql.errors import to_response
from gateway.graphql.execution.runner import single_result
from gateway.graphql.refusal import EVENT_STREAM
from gateway.web.request import Answer, as_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.graphql.context import Context
    from gateway.graphql.execution.runner import Results

log: Final = logging.getLogger(__name__)

KEEP_ALIVE_S: Final = 12.0  # shorter than what proxies give an idle connection, 15 s at the least
_COMPLETE: Final = b"event: complete\ndata: \n\n"
_KEEP_ALIVE: Final = b":\n\n"
# nginx holds a response back until it has some kilobytes, unless told.
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


def stream(found: Results | ExecutionResult, context: Context, request_id: str) -> StreamingResponse:
    """Answer with results as they come; each event's id is the cursor to go on from."""
    results = single_result(found) if isinstance(found, ExecutionResult) else found
    events = _events(results, context, request_id)
    return StreamingResponse(events, headers=_HEADERS, media_type=EVENT_STREAM)


def interrupted(request_id: str) -> Answer:
    """Answer with a stream that is over, and not complete: a client comes back, where a status would be the end."""
    _tell_lost(request_id)
    return Answer(_KEEP_ALIVE, media_type=b"text/event-stream; charset=utf-8", headers=as_headers(_HEADERS))


async def _events(results: Results, context: Context, request_id: str) -> AsyncIterator[bytes]:
    """Write the stream; it ends without `complete` where it has to be asked for again, from the last event's id."""
    waiting: asyncio.Future[ExecutionResult] | None = None
    leaving = asyncio.get_running_loop().create_future()

    def leave() -> None:
        if not leaving.done():
            leaving.set_result(None)

    try:
        with context.hub.on_shutdown(leave), context.authenticator.on_revocation(context.who, leave):
            yield _KEEP_ALIVE  # the client sees at once that it is connected
            while True:
                waiting = waiting or asyncio.ensure_future(anext(results))
                either: set[asyncio.Future[Any]] = {waiting, leaving}
                await asyncio.wait(either, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    return
                if not waiting.done():
                    yield _KEEP_ALIVE
                    continue
                try:
                    result = waiting.result()
                except StopAsyncIteration:
                    yield _COMPLETE
                    return
                except Unavailable:
                    _tell_lost(request_id)
                    return
                waiting = None
                cursor = context.last_cursor
                number = b"" if cursor is None else b"id: " + cursor.encode() + b"\n"
                yield number + b"event: next\ndata: " + orjson.dumps(to_response(result, request_id)) + b"\n\n"
    finally:
        if waiting is not None:
            waiting.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, Unavailable):
                await waiting
        await results.aclose()


def _tell_lost(request_id: str) -> None:
    log.warning("%s: the database is unavailable to a subscription", request_id)
