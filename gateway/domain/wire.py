"""Domain objects out, the API's own JSON objects as bytes; the other way round of `parse`.

Stored JSON is handed on as it lies, without parsing it again.
Source: rest-contract §2; key order as it was sent live.
Must not be here: envelopes of lists and errors, which belong to the REST face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from gateway.domain.message import Message
    from gateway.domain.thread import Thread

JsonValue = dict[str, Any]


def thread(thread: Thread) -> JsonValue:
    """Lay a thread out as the API's `thread` object, ready for `dump`."""
    extension = {} if thread.owner is None else {"owner": thread.owner}  # ours: the wire knows no end users
    return {
        "id": thread.id,
        "object": "thread",
        "created_at": thread.created_at,
        "metadata": _stored(thread.metadata_json),
        "tool_resources": _stored(thread.tool_resources_json),
        **extension,
    }


def message(message: Message) -> JsonValue:
    """Lay a message out as the API's `thread.message` object, ready for `dump`."""
    reason = message.reason_value
    return {
        "id": message.id,
        "object": "thread.message",
        "created_at": message.created_at,
        "assistant_id": message.assistant_id,
        "thread_id": message.thread_id,
        "run_id": message.run_id,
        "status": message.status_value,
        "incomplete_details": None if reason is None else {"reason": reason},
        "incomplete_at": message.incomplete_at,
        "completed_at": message.completed_at,
        "role": message.role_value,
        "content": _stored(message.content_json),
        "attachments": _stored(message.attachments_json),
        "metadata": _stored(message.metadata_json),
    }


def dump(value: JsonValue) -> bytes:
    """Write compact JSON in UTF-8."""
    return orjson.dumps(value)


def dump_text(value: object) -> str:
    """Write compact JSON as it is stored."""
    return orjson.dumps(value).decode()


def _stored(text: str) -> orjson.Fragment:
    return orjson.Fragment(text)
