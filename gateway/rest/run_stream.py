"""The stream of a run, as server-sent events: in the order of the original service, and resumable.

Each event's id is the epoch of the database and the place of a reader; a client that reconnects with the last one as
`Last-Event-ID` gets the rest. A client that disconnects does not cancel the run.
Source: contract of runs, "Streaming"; WHATWG HTML, "Server-sent events".
Must not be here: which events there are (`domain.run_events`), when they happen (`runs`).
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from gateway.domain import wire
from gateway.domain.run_events import Place
from gateway.errors import GatewayError, InvalidRequest, Unavailable, excerpt
from gateway.rest import render
from gateway.web.request import as_headers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.domain.run import Run
    from gateway.domain.run_events import Event, Seen
    from gateway.domain.thread import Thread
    from gateway.rest.call import Call

log: Final = logging.getLogger(__name__)

KEEP_ALIVE_S: Final = 12.0  # shorter than the idle timeouts of proxies, at least 15 s
_KEEP_ALIVE: Final = b": keep-alive\n\n"
_DONE: Final = b"event: done\ndata: [DONE]\n\n"
_NUMBER: Final = re.compile("[0-9]{1,18}")  # `int` refuses thousands of digits
_MEDIA_TYPE: Final = "text/event-stream; charset=utf-8"
# nginx buffers a response until it has some kilobytes, unless this header disables that.
_HEADERS: Final = as_headers({"content-type": _MEDIA_TYPE, "cache-control": "no-store", "x-accel-buffering": "no"})
_STOPS: Final = Unavailable(
    "The server is stopping, or your credential is no longer valid; the run may continue. "
    "Resume with the id of the last event."
)
_CRASH: Final = Unavailable("The server had an error while it sent this stream. Read the run for its state.")


async def begin_stream(call: Call, run: Run, seen: Seen, thread: Thread | None = None) -> ASGIApp:
    """Answer with the events of a run after what was seen of it; for a new thread, its creation comes first."""
    epoch = await call.runs.epoch()
    first = b"" if thread is None else _frame("thread.created", wire.thread(thread))
    headers = [*_HEADERS, render.REPLAYED] if call.attempt is not None and call.attempt.is_replay else [*_HEADERS]

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.ensure_future(_until_gone(receive))
        leave = leaving.cancel
        try:
            with call.runs.hub.on_shutdown(leave), call.authenticator.on_revocation(call.who, leave):
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                async with aclosing(_written(call, run, seen, epoch, leaving)) as pieces:
                    if first:
                        await _send(send, first)
                    async for each in pieces:
                        await _send(send, each)
                await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()

    return app


async def resumed_stream(call: Call, run: Run, last_event_id: str) -> ASGIApp:
    """Answer with the events of a run after one that a client has seen.

    Errors: InvalidRequest where that is no event of this run, or of another history of the database.
    """
    epoch, *numbers = last_event_id.split("-")
    is_ours = len(numbers) == len(Place._fields) and all(map(_NUMBER.fullmatch, numbers))
    if not is_ours or epoch != await call.runs.epoch():
        message = f"Invalid 'Last-Event-ID': '{excerpt(last_event_id)}'. Expected the id of an event of this run."
        raise InvalidRequest(message, param="Last-Event-ID", code="invalid_value")
    return await begin_stream(call, run, await call.runs.seen_at(call.who, run, Place(*map(int, numbers))))


async def _written(
    call: Call, run: Run, seen: Seen, epoch: str, leaving: asyncio.Future[None]
) -> AsyncGenerator[bytes, None]:
    """Write the stream; if it ends before the run, its last event is an error."""
    events = call.runs.follow(call.who, run, seen)
    waiting: asyncio.Future[Event] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(events))
            either: set[asyncio.Future[Any]] = {waiting, leaving}
            await asyncio.wait(either, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                if leaving.cancelled():  # not by the client, which is still there
                    yield _error(_STOPS)
                return
            if not waiting.done():
                yield _KEEP_ALIVE
                continue
            event, waiting = waiting.result(), None
            yield _frame(event.name, event.data, f"{epoch}-{event.place.position}-{event.place.offset}")
    except StopAsyncIteration:
        yield _DONE
    except GatewayError as error:
        yield _error(error)
    except Exception:
        log.exception("the stream of run %s failed", run.id)
        yield _error(_CRASH)
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait([waiting])


def _frame(name: str, data: wire.JsonValue, event_id: str = "") -> bytes:
    id_line = f"id: {event_id}\n" if event_id else ""
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), id_line.encode(), wire.dump(data))


def _error(error: GatewayError) -> bytes:
    """Write an error in the form that SDKs raise: they ignore one that is not nested."""
    return _frame("error", render.envelope(error))


async def _send(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
