"""Serialization of domain objects to JSON objects of the API, the inverse of `parse`.

Stored JSON is inserted without parsing it.
Source: rest-contract §2; the order of keys is that of recorded responses.
Must not be here: envelopes of lists and errors (`rest`).
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
    """Convert a thread to the API's `thread` object, ready for `dump`."""
    extension = {} if thread.owner is None else {"owner": thread.owner}  # ours: the original API has no end users
    return {
        "id": thread.id,
        "object": "thread",
        "created_at": thread.created_at,
        "metadata": Fragment(thread.metadata_json),
        "tool_resources": Fragment(thread.tool_resources_json),
        **extension,
    }


def message(message: Message) -> JsonValue:
    """Convert a message to the API's `thread.message` object, ready for `dump`."""
    # Unpacked at once: access to a field by name takes as long as three values, and a page has many.
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
    ) = message[:13]
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
    """Serialize to compact JSON in UTF-8."""
    return orjson.dumps(value)


def load(text: str | bytes) -> Any:
    """Parse JSON."""
    return orjson.loads(text)


def dump_text(value: object) -> str:
    """Serialize to compact JSON text, as it is stored."""
    return orjson.dumps(value).decode()
