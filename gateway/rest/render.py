"""Responses: domain objects and errors in the wire format.

Source: rest-contract §2.5 (list), §2.6 (deleted), §5 (errors).
Must not be here: the JSON of threads and messages (`domain.wire`).
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, TypeVar

from orjson import Fragment

from gateway.domain import wire, wire_run
from gateway.domain.page import WIRE
from gateway.domain.thread_list import OrderBy
from gateway.errors import (
    AnswerTooLarge,
    BodyTooLarge,
    CrossSite,
    Forbidden,
    GatewayError,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    ThreadLocked,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnknownHost,
    UnknownUrl,
    UnsupportedCoding,
    WrongMethod,
)
from gateway.web.request import Answer, as_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.domain.message import Message
    from gateway.domain.page import Page, Rows
    from gateway.domain.run import Assistant, Run, RunStep
    from gateway.domain.thread import Thread
    from gateway.domain.thread_list import Selection, ThreadPage

T = TypeVar("T")

STATUS: Final[Mapping[type[GatewayError], int]] = {
    InvalidRequest: 400,
    Unauthorized: 401,
    Forbidden: 403,
    CrossSite: 403,
    NotFound: 404,
    ThreadLocked: 400,
    UnknownUrl: 404,
    WrongMethod: 405,
    BodyTooLarge: 413,
    UnsupportedCoding: 415,
    AnswerTooLarge: 400,
    IdempotencyKeyInUse: 409,
    IdempotencyKeyReused: 422,
    TooManyRequests: 429,
    UnknownHost: 421,
    Unavailable: 503,
}
# SDKs retry a 409, and never a 422; these headers tell older versions of the SDKs the same.
_HEADERS: Final[Mapping[type[GatewayError], Mapping[str, str]]] = {
    Unauthorized: {"www-authenticate": "Bearer"},
    IdempotencyKeyInUse: {"x-should-retry": "true", "retry-after-ms": "500"},
    IdempotencyKeyReused: {"x-should-retry": "false"},
    UnsupportedCoding: {"accept-encoding": "gzip"},
}
_POLL: Final = {"openai-poll-after-ms": "200"}
_CRASH: Final = GatewayError("The server had an error while processing your request. See its log for details.")
# The fields that `expand[]` adds to a thread, made from it and its last message.
_OF_THREAD: Final[Mapping[str, Callable[[Thread, Fragment | None], object]]] = {
    "idempotency_key": lambda found, _: found.idempotency_key,
    "last_activity_at": lambda found, _: found.last_activity_at,
    "last_message": lambda _, last: last,
}
REPLAYED: Final = (b"idempotent-replayed", b"true")


def thread(found: Thread, expanded: Sequence[str] = ()) -> Answer:
    """Answer with a thread, and additional fields."""
    return _answer(_with(wire.thread(found), found, expanded))


def read_thread(found: Thread, expanded: Sequence[str] = (), last: Fragment | None = None) -> Answer:
    """Answer a GET with a thread; only there, a thread without tool resources has an empty `code_interpreter`.

    Source: rest-contract §2.2, "`tool_resources` quirks": clients access it without a check.
    """
    body = wire.thread(found)
    if not found.tool_resources:
        body["tool_resources"] = {"code_interpreter": {"file_ids": []}}
    return _answer(_with(body, found, expanded, last))


def message(found: Message, expanded: Sequence[str] = ()) -> Answer:
    """Answer with a message, and additional fields."""
    body = wire.message(found)
    if expanded:  # a message has one additional field
        body["idempotency_key"] = found.idempotency_key
    return _answer(body)


def run(found: Run) -> Answer:
    """Answer with a run, and how long a client should wait before it polls again."""
    return _answer(wire_run.run(found), headers=_POLL)


def step(found: RunStep) -> Answer:
    """Answer with a step of a run."""
    return _answer(wire_run.step(found))


def assistant(found: Assistant) -> Answer:
    """Answer with an assistant."""
    return _answer(wire_run.assistant(found))


def page_of(page: Page[T], as_json: Callable[[T], wire.JsonValue]) -> Answer:
    """Answer with a page of runs, steps or assistants."""
    return _list([wire.dump(as_json(each)) for each in page.items], *page.id_at_ends, has_more=page.has_more)


def last_messages(page: ThreadPage) -> list[Fragment | None]:
    """Return the last message of each thread, where they were read as WIRE; None where there is none."""
    return [None if id_ is None else Fragment(text) for id_, text, *_ in page.rows]


def threads_page(page: ThreadPage, expanded: Sequence[str], selected: Selection) -> Answer:
    """Answer with a page of threads, and additional fields of each; by activity, with the cursor of the next page.

    No object of that page has this cursor: it is the place of a thread when the page was read.
    """
    items = page.items
    last = last_messages(page) or repeat(None)
    objects = [wire.dump(_with(wire.thread(each), each, expanded, own)) for each, own in zip(items, last, strict=False)]
    further = {}
    if selected.by is OrderBy.ACTIVITY:
        further["next_after"] = selected.cursor_of(items[-1]) if items else None
    return _list(objects, *page.id_at_ends, has_more=page.has_more, **further)


def messages_page(page: Rows) -> Answer:
    """Answer with a page of messages, read as WIRE and additional fields."""
    width, further = len(WIRE), page.fields[len(WIRE) :]
    objects = [row[1] for row in page.rows]
    if further:
        added = [wire.dump(dict(zip(further, row[width:], strict=False))) for row in page.rows]
        objects = [b"%b,%b" % (each[:-1], more[1:]) for each, more in zip(objects, added, strict=True)]
    return _list(objects, *page.id_at_ends, has_more=page.has_more)


def deleted(kind: str, object_id: str) -> Answer:
    """Answer a DELETE of a thread or message."""
    return _answer({"id": object_id, "object": f"{kind}.deleted", "deleted": True})


def replayed(answer: Answer) -> Answer:
    """Mark the answer to a creation that repeats an earlier one with the same idempotency key."""
    return answer._replace(headers=(*answer.headers, REPLAYED))


def error(raised: GatewayError) -> Answer:
    """Answer with an error."""
    return _answer(envelope(raised), status=STATUS[type(raised)], headers=_headers(raised))


def crash() -> Answer:
    """Answer an unexpected exception; the details are only in the log."""
    return _answer({"error": {**envelope(_CRASH)["error"], "type": "server_error"}}, status=500)


def _with(body: wire.JsonValue, found: Thread, expanded: Sequence[str], last: Fragment | None = None) -> wire.JsonValue:
    for name in expanded:
        body[name] = _OF_THREAD[name](found, last)
    return body


def _headers(raised: GatewayError) -> Mapping[str, str] | None:
    if isinstance(raised, WrongMethod):
        return {"allow": raised.allowed}
    if isinstance(raised, TooManyRequests):
        return {"retry-after": str(raised.retry_after_s)}
    return _HEADERS.get(type(raised))


def envelope(raised: GatewayError) -> dict[str, Any]:
    """Return the JSON of an error, as responses and streams have it."""
    return {
        "error": {"message": raised.message, "type": raised.type, "param": raised.param, "code": raised.code},
    }


def _list(
    objects: Sequence[bytes], first_id: str | None, last_id: str | None, *, has_more: bool, **further: str | None
) -> Answer:
    end = wire.dump({"first_id": first_id, "last_id": last_id, "has_more": has_more, **further})
    return Answer(b"".join((b'{"object":"list","data":[', b",".join(objects), b"],", end[1:])))


def _answer(value: wire.JsonValue, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(wire.dump(value), status, headers=as_headers(headers) if headers else ())
