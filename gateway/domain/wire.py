"""Domain objects out, the API's own JSON objects as bytes; the other way round of `parse`.

Stored JSON is handed on as it lies, without parsing it again.
Source: rest-contract §2; key order as it was sent live.
Must not be here: envelopes of lists and errors, which belong to the REST face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from orjson import Fragment

if TYPE_CHECKING:
    from gateway.domain.message import Message
    from gateway.domain.thread import Thread

JsonValue = dict[str, Any]

_NULL: Final = "null"


def thread(thread: Thread) -> JsonValue:
    """Lay a thread out as the API's `thread` object, ready for `dump`."""
    extension = {} if thread.owner is None else {"owner": thread.owner}  # ours: the wire knows no end users
    return {
        "id": thread.id,
        "object": "thread",
        "created_at": thread.created_at,
        "metadata": Fragment(thread.metadata_json),
        "tool_resources": Fragment(thread.tool_resources_json),
        **extension,
    }


def message(message: Message) -> Fragment:
    """Lay a message out as the API's `thread.message` object, ready for `dump`.

    It is written as text: all that a page's messages have besides their content are words and numbers of ours, ids,
    and stored JSON, and to lay each out as a dict first takes three times as long.
    """
    (
        id_,
        thread_id,
        created_at,
        role,
        status,
        content,
        attachments,
        metadata,
        run_id,
        assistant_id,
        completed_at,
        incomplete_at,
        reason,
    ) = message
    head = (
        f'{{"id":"{id_}","object":"thread.message","created_at":{created_at},"assistant_id":{_quoted(assistant_id)},'
        f'"thread_id":"{thread_id}","run_id":{_quoted(run_id)},"status":"{status}",'
        f'"incomplete_details":{_NULL if reason is None else _details(reason)},'
        f'"incomplete_at":{_NULL if incomplete_at is None else incomplete_at},'
        f'"completed_at":{_NULL if completed_at is None else completed_at},"role":"{role}","content":'
    )
    tail = f',"attachments":{attachments},"metadata":{metadata}}}'
    return Fragment(b"".join((head.encode(), content, tail.encode())))


def _details(reason: str) -> str:
    return f'{{"reason":"{reason}"}}'


def _quoted(text: str | None) -> str:
    return _NULL if text is None else orjson.dumps(text).decode()


def dump(value: object) -> bytes:
    """Write compact JSON in UTF-8."""
    return orjson.dumps(value)


def dump_text(value: object) -> str:
    """Write compact JSON as it is stored."""
    return orjson.dumps(value).decode()
