"""The audit log: keys, tokens, runs, deletions and failed authentication, one JSON object a line.

The logger `gateway.audit` writes a line after the commit. Never in it: message content, metadata, secrets, tokens.
Must not be here: where the lines are written (`log`).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import orjson

from gateway.observability.record import UNKNOWN, current

LOGGER: Final = "gateway.audit"
OPERATOR: Final = "operator"  # the principal of commands
log: Final = logging.getLogger(LOGGER)


class Event(StrEnum):
    """The events; docs/security.md describes each."""

    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    TOKEN_CREATED = "token.created"  # noqa: S105  (the name of an event)
    TOKENS_REVOKED = "tokens.revoked"
    THREAD_DELETED = "thread.deleted"
    MESSAGE_DELETED = "message.deleted"
    USER_ERASED = "user.erased"
    ASSISTANT_DELETED = "assistant.deleted"
    RUN_CREATED = "run.created"
    RUN_CANCELLED = "run.cancelled"
    AUTHENTICATION_FAILED = "authentication.failed"


def note(event: Event, *, principal: str, project: str, target: str, **more: str | int | None) -> None:
    """Write an event; `target` is the ID of its object."""
    line = {
        "event": event.value,
        "principal": principal,
        "project": project,
        "object": target,
        **more,
        "id": record.request_id if (record := current.get()) else UNKNOWN,
        "logger": LOGGER,
        "level": "info",
        "timestamp": datetime.now(UTC),
    }
    log.info("%s", orjson.dumps(line, option=orjson.OPT_UTC_Z).decode())
