"""Ids of threads and messages: how they are made and what may be one.

Must not be here: look-ups; whether an id exists is for the store to say.
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
_RANDOM_LENGTH: Final = 24  # as the original service made them: 142 bits, nobody guesses one
# One draw gives more bytes than are needed; those that would make some letters likelier than others are left out.
_DRAWN: Final = 48
_LETTERS: Final = (_ALPHABET * 4).encode()
_UNFAIR: Final = bytes(range(len(_LETTERS), 256))
_TABLE: Final = _LETTERS + _UNFAIR

# Imported ids are kept as they are, so more is accepted than is made here; the bound keeps index entries small.
_THREAD: Final = re.compile(r"thread_[A-Za-z0-9_-]{1,120}")
_MESSAGE: Final = re.compile(r"msg_[A-Za-z0-9_-]{1,120}")


def new_thread_id() -> ThreadId:
    """Make an unguessable thread id."""
    return ThreadId(f"thread_{_random()}")


def new_message_id() -> MessageId:
    """Make an unguessable message id."""
    return MessageId(f"msg_{_random()}")


def _random() -> str:
    found = b""
    while len(found) < _RANDOM_LENGTH:  # once, but for one draw in many ages of the world
        found = os.urandom(_DRAWN).translate(_TABLE, _UNFAIR)
    return found[:_RANDOM_LENGTH].decode()


def not_empty(text: str, path: str) -> str:
    """Refuse an empty text in place of an id: some clients write one where they have none, and would miss the answer.

    Errors: InvalidRequest.
    """
    return validate.a_string(text, path, at_least=1)


def as_thread_id(text: str) -> ThreadId | None:
    """Take a text as a thread id, or give None where it cannot be one."""
    return ThreadId(text) if _THREAD.fullmatch(text) else None


def as_message_id(text: str) -> MessageId | None:
    """Take a text as a message id, or give None where it cannot be one."""
    return MessageId(text) if _MESSAGE.fullmatch(text) else None


def thread_id(text: str) -> ThreadId:
    """Parse the id of a thread that a caller named.

    Errors: InvalidRequest without the prefix; NotFound where no thread can have such an id.
    """
    if not text.startswith("thread"):
        raise _wrong_prefix("thread_id", text, "thread")
    found = as_thread_id(text)
    if found is None:
        raise NotFound("thread", text)
    return found


def message_id(text: str) -> MessageId:
    """Parse the id of a message that a caller named.

    Errors: InvalidRequest without the prefix; NotFound where no message can have such an id.
    """
    if not text.startswith("msg"):
        raise _wrong_prefix("message_id", text, "msg")
    found = as_message_id(text)
    if found is None:
        raise NotFound("message", text)
    return found


def _wrong_prefix(param: str, text: str, prefix: str) -> InvalidRequest:
    message = f"Invalid '{param}': '{excerpt(text)}'. Expected an ID that begins with '{prefix}'."
    return InvalidRequest(message, param=param, code="invalid_value")
