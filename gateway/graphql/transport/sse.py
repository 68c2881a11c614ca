"""Subscriptions as server-sent events, one connection each.

Source: graphql-sse protocol, "Distinct connections mode"; WHATWG HTML, "Server-sent events" (`Last-Event-ID`).
Must not be here: the choice of this response (`http`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import ExecutionResult

from gateway.errors import Unavailable
from gateway.graphql.errors import to_response
from gateway.graphql.execution.runner import single_result
from gateway.web.request import Answer, as_headers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.graphql.context import Context
    from gateway.graphql.execution.runner import Results

log: Final = logging.getLogger(__name__)

KEEP_ALIVE_S: Final = 12.0  # shorter than the idle timeouts of proxies, at least 15 s
_COMPLETE: Final = b"event: complete\ndata: \n\n"
_KEEP_ALIVE: Final = b":\n\n"
# nginx buffers a response until it has some kilobytes, unless this header disables that.
_HEADERS: Final = as_headers({"cache-control": "no-store", "x-accel-buffering": "no"})
_MEDIA_TYPE: Final = b"text/event-stream; charset=utf-8"


def stream(found: Results | ExecutionResult, context: Context, request_id: str) -> ASGIApp:
    """Answer with results as they arrive; each event's id is the cursor to resume from.

    A streaming response of Starlette takes another task and 7 KB more for as long as it is open.
    """
    results = single_result(found) if isinstance(found, ExecutionResult) else found

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.ensure_future(_until_gone(receive))

        def leave() -> None:
            leaving.cancel()

        try:
            with context.hub.on_shutdown(leave), context.authenticator.on_revocation(context.who, leave):
                head = [*_HEADERS, (b"content-type", _MEDIA_TYPE)]
                await send({"type": "http.response.start", "status": 200, "headers": head})
                async with aclosing(_events(results, context, request_id, leaving)) as events:
                    async for each in events:
                        await send({"type": "http.response.body", "body": each, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()

    return app


def interrupted(request_id: str) -> Answer:
    """Answer with a stream that ends without `complete`: the client reconnects; an error status would be final."""
    _tell_lost(request_id)
    return Answer(_KEEP_ALIVE, media_type=_MEDIA_TYPE, headers=_HEADERS)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _events(
    results: Results, context: Context, request_id: str, leaving: asyncio.Task[None]
) -> AsyncGenerator[bytes, None]:
    """Write the stream; it ends without `complete` where the client has to reconnect with the last event's id.

    It also ends with `leaving`: when the client has disconnected, or the server disconnects it.
    """
    waiting: asyncio.Future[ExecutionResult] | None = None
    try:
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
            yield _next(result, context.last_cursor, request_id)
            del result  # hold no sent result while waiting for the next
    finally:
        if waiting is not None:
            waiting.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, Unavailable):
                await waiting
        await results.aclose()


def _next(result: ExecutionResult, cursor: str | None, request_id: str) -> bytes:
    number = b"" if cursor is None else b"id: " + cursor.encode() + b"\n"
    return number + b"event: next\ndata: " + orjson.dumps(to_response(result, request_id)) + b"\n\n"


def _tell_lost(request_id: str) -> None:
    log.warning("%s: the database is unavailable to a subscription", request_id)
