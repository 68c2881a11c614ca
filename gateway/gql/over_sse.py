"""Subscriptions as server-sent events, one connection each.

Source: graphql-sse protocol, "Distinct connections mode"; WHATWG HTML, "Server-sent events" (`Last-Event-ID`).
Must not be here: which request comes here (`over_http`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import orjson
from starlette.responses import StreamingResponse

from gateway.gql.errors import laid_out
from gateway.gql.refused import EVENT_STREAM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graphql import ExecutionResult

    from gateway.gql.context import Told
    from gateway.gql.run import Results

KEEP_ALIVE_S: Final = 12.0  # shorter than what proxies give an idle connection, 15 s at the least
_COMPLETE: Final = b"event: complete\ndata: \n\n"
_KEEP_ALIVE: Final = b":\n\n"
# nginx holds a response back until it has some kilobytes, unless told.
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


def stream(results: Results, told: Told, request_id: str) -> StreamingResponse:
    """Answer with results as they come; each event's id is the cursor to go on from."""
    return StreamingResponse(_events(results, told, request_id), headers=_HEADERS, media_type=EVENT_STREAM)


async def just(result: ExecutionResult) -> Results:
    """Give the one result of a query or mutation as a stream."""
    yield result


async def _events(results: Results, told: Told, request_id: str) -> AsyncIterator[bytes]:
    waiting: asyncio.Task[ExecutionResult] | None = None
    try:
        yield _KEEP_ALIVE  # the client sees at once that it is connected
        while True:
            waiting = waiting or asyncio.ensure_future(anext(results))
            done, _ = await asyncio.wait({waiting}, timeout=KEEP_ALIVE_S)
            if not done:
                yield _KEEP_ALIVE
                continue
            try:
                result = waiting.result()
            except StopAsyncIteration:
                yield _COMPLETE
                return
            waiting = None
            number = b"" if told.cursor is None else b"id: " + told.cursor.encode() + b"\n"
            yield number + b"event: next\ndata: " + orjson.dumps(laid_out(result, request_id)) + b"\n\n"
    finally:
        if waiting is not None:
            waiting.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await waiting
        await results.aclose()
