"""Domain objects out, the API's own JSON objects as bytes; the other way round of `parse`.

Stored JSON is handed on as it lies, without parsing it again.
Source: rest-contract §2; key order as it was sent live.
Must not be here: envelopes of lists and errors, which belong to the REST face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from orjson import Fragment

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
        "metadata": Fragment(thread.metadata_json),
        "tool_resources": Fragment(thread.tool_resources_json),
        **extension,
    }


def message(message: Message) -> JsonValue:
    """Lay a message out as the API's `thread.message` object, ready for `dump`."""
    # Taken apart at once: a page has many, and each attribute of a tuple by its name takes as long as three values.
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
    return {
        "id": id_,
        "object": "thread.message",
        "created_at": created_at,
        "assistant_id": assistant_id,
        "thread_id": thread_id,
        "run_id": run_id,
        "status": status,
        "incomplete_details": None if reason is None else {"reason": reason},
        "incomplete_at": incomplete_at,
        "completed_at": completed_at,
        "role": role,
        "content": Fragment(content),
        "attachments": Fragment(attachments),
        "metadata": Fragment(metadata),
    }


def dump(value: object) -> bytes:
    """Write compact JSON in UTF-8."""
    return orjson.dumps(value)


def load(text: str | bytes) -> Any:
    """Read JSON."""
    return orjson.loads(text)


def dump_text(value: object) -> str:
    """Write compact JSON as it is stored."""
    return orjson.dumps(value).decode()
