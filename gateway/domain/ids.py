"""IDs of threads and messages: how they are generated, and which strings are valid ones.

Must not be here: look-ups; only the store knows whether an ID exists.
"""

from __future__ import annotations

import os
import re
import string
from typing import Final, NewType

from gateway.domain import validate
from gateway.errors import InvalidRequest, NotFound, excerpt

ThreadId = NewType("ThreadId", str)
MessageId = NewType("MessageId", str)

_ALPHABET: Final = string.ascii_letters + string.digits
_RANDOM_LENGTH: Final = 24  # as the original service made them: 142 bits cannot be guessed
# Rejection sampling: one draw has more bytes than needed; bytes that would bias the distribution are dropped.
_LETTERS: Final = (_ALPHABET * 4).encode()
_BIASED: Final = bytes(range(len(_LETTERS), 256))
_TABLE: Final = _LETTERS + _BIASED

# Imported IDs are preserved, so these patterns are wider than what is generated; the bound keeps index entries small.
_THREAD: Final = re.compile(r"thread_[A-Za-z0-9_-]{1,120}")
_MESSAGE: Final = re.compile(r"msg_[A-Za-z0-9_-]{1,120}")


def new_thread_id() -> ThreadId:
    """Generate a random thread ID."""
    return ThreadId(f"thread_{random_text()}")


def new_message_id() -> MessageId:
    """Generate a random message ID."""
    return MessageId(f"msg_{random_text()}")


def new_id(prefix: str) -> str:
    """Generate a random ID of another kind: `run`, `step`, `asst`."""
    return f"{prefix}_{random_text()}"


def random_text(length: int = _RANDOM_LENGTH) -> str:
    """Generate random letters and digits that cannot be guessed."""
    found = b""
    while len(found) < length:  # nearly always once
        found = os.urandom(2 * length).translate(_TABLE, _BIASED)
    return found[:length].decode()


def not_empty(text: str, path: str) -> str:
    """Reject an empty ID: some clients send one by mistake, and would take an empty answer for a result.

    Errors: InvalidRequest.
    """
    return validate.a_string(text, path, at_least=1)


def as_thread_id(text: str) -> ThreadId | None:
    """Convert a string to a thread ID, or return None if it is not a valid one."""
    return ThreadId(text) if _THREAD.fullmatch(text) else None


def as_message_id(text: str) -> MessageId | None:
    """Convert a string to a message ID, or return None if it is not a valid one."""
    return MessageId(text) if _MESSAGE.fullmatch(text) else None


def thread_id(text: str) -> ThreadId:
    """Parse a thread ID of a request.

    Errors: InvalidRequest without the prefix; NotFound if no thread can have this ID.
    """
    if not text.startswith("thread"):
        raise _wrong_prefix("thread_id", text, "thread")
    found = as_thread_id(text)
    if found is None:
        raise NotFound("thread", text)
    return found


def message_id(text: str, param: str = "message_id") -> MessageId:
    """Parse a message ID of a request.

    Errors: InvalidRequest without the prefix; NotFound if no message can have this ID.
    """
    if not text.startswith("msg"):
        raise _wrong_prefix(param, text, "msg")
    found = as_message_id(text)
    if found is None:
        raise NotFound("message", text)
    return found


def as_other_id(prefix: str, text: str) -> str | None:
    """Convert a string to an ID of another kind, or return None if it is not a valid one."""
    return text if re.fullmatch(f"{prefix}_[A-Za-z0-9_-]{{1,120}}", text) else None


def other_id(prefix: str, kind: str, text: str) -> str:
    """Parse an ID of another kind in a path.

    Errors: NotFound if no object can have this ID.
    """
    if as_other_id(prefix, text) is None:
        raise NotFound(kind, text)
    return text


def _wrong_prefix(param: str, text: str, prefix: str) -> InvalidRequest:
    message = f"Invalid '{param}': '{excerpt(text)}'. Expected an ID that begins with '{prefix}'."
    return InvalidRequest(message, param=param, code="invalid_value")
