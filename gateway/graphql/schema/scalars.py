"""Scalars and enums of the GraphQL schema, and their conversion to and from the domain.

Must not be here: object types.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NewType

import strawberry
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from gateway.domain import message, page, thread_list

_TIMES: Final = 4_096  # cached texts
_DAYS: Final = 1_024  # cached dates
_DIGITS: Final = tuple(f"{number:02}" for number in range(60))
DateTime = NewType("DateTime", int)
Metadata = NewType("Metadata", dict[str, Any])
_RFC_8259: Final = "https://www.rfc-editor.org/rfc/rfc8259"


class _Times(dict[int, str]):
    """A cache of times in RFC 3339 format; pages repeat times and days."""

    def __missing__(self, seconds: int) -> str:
        days, rest = divmod(seconds, 86_400)
        minutes, second = divmod(rest, 60)
        if len(self) == _TIMES:
            self.clear()
        self[seconds] = f"{_date(days)}T{_DIGITS[minutes // 60]}:{_DIGITS[minutes % 60]}:{_DIGITS[second]}Z"
        return self[seconds]


iso: Final = _Times().__getitem__  # a dict look-up, which is faster than a call (`fast_executor.codegen`)


@lru_cache(_DAYS)
def _date(days: int) -> str:
    return datetime.fromtimestamp(days * 86_400, UTC).date().isoformat()


def _milliseconds(value: object) -> int:
    """Parse an input, which may be more precise than what is stored."""
    if isinstance(value, str):
        return thread_list.parse_time(value)
    raise ValueError("Expected a text, such as 2026-08-26T09:30:00Z.")


SCALARS: Final[dict[object, ScalarDefinition]] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A date and time (RFC 3339), such as `2026-08-26T09:30:00Z`: in results in UTC with a precision of "
        "one second; inputs can have any offset and milliseconds.",
        # Most other published specifications require milliseconds, which are not stored.
        specified_by_url="https://scalars.graphql.org/chillicream/date-time.html",
        serialize=iso,
        parse_value=_milliseconds,
    ),
    Metadata: strawberry.scalar(
        name="Metadata",
        description="A JSON object of strings with at most 16 pairs; keys have at most 64 characters and values at "
        "most 512. An update merges: it sets the keys that it contains, removes keys whose value is "
        "`null`, and keeps all others.",
        specified_by_url=f"{_RFC_8259}#section-4",
        serialize=lambda value: value,
        parse_value=lambda value: value,  # `domain.parse` validates it, for both APIs
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value; each field of this type describes the values that it accepts.",
        specified_by_url=_RFC_8259,
        serialize=lambda value: value,
        parse_value=lambda value: value,  # the same
    ),
}


@strawberry.enum(description="The sort order of a list, by creation time.")
class SortOrder(Enum):
    """`domain.page.Order`, with descriptions."""

    ASC = strawberry.enum_value(page.Order.ASC, description="Oldest first.")
    DESC = strawberry.enum_value(page.Order.DESC, description="Newest first.")

    __hash__ = object.__hash__  # as that of `Order`


@strawberry.enum(description="What a list of threads is sorted by.")
class ThreadOrder(Enum):
    """`domain.thread_list.OrderBy`, with descriptions."""

    CREATED = strawberry.enum_value(thread_list.OrderBy.CREATED, description="The time of creation.")
    ACTIVITY = strawberry.enum_value(
        thread_list.OrderBy.ACTIVITY,
        description="The time of the last activity. Cursors are places in this order, not IDs: they stay where they "
        "are when threads move.",
    )

    __hash__ = object.__hash__  # as that of the domain's


@strawberry.enum(description="The author of a message.")
class MessageRole(Enum):
    """`domain.message.Role`, with descriptions."""

    USER = strawberry.enum_value(message.Role.USER, description="The end user of the application.")
    ASSISTANT = strawberry.enum_value(message.Role.ASSISTANT, description="The assistant.")

    __hash__ = object.__hash__  # the same


@strawberry.enum(description="The permissions of a thread token.")
class ThreadAccess(Enum):
    """Sets of `domain.principal.Scope`."""

    READ = strawberry.enum_value("read", description="Read the thread and subscribe to it.")
    SEND = strawberry.enum_value(
        "send", description="`READ`, and create messages with the role `USER` and the status `COMPLETED`."
    )
    READ_WRITE = strawberry.enum_value(
        "read_write", description="`SEND`, and create messages of any role and status, and update and delete."
    )


@strawberry.enum(description="The status of a message.")
class MessageStatus(Enum):
    """`domain.message.Status`, with descriptions."""

    IN_PROGRESS = strawberry.enum_value(
        message.Status.IN_PROGRESS, description="The message is being generated; text can be appended."
    )
    INCOMPLETE = strawberry.enum_value(
        message.Status.INCOMPLETE, description="Generation ended early; `incompleteReason` says why."
    )
    COMPLETED = strawberry.enum_value(message.Status.COMPLETED, description="The message is complete.")

    __hash__ = object.__hash__  # the same


@strawberry.enum(name="IncompleteReason", description="The reason why a message is incomplete.")
class IncompleteReason(Enum):
    """`domain.message.IncompleteReason`, with descriptions."""

    CONTENT_FILTER = strawberry.enum_value(
        message.IncompleteReason.CONTENT_FILTER, description="A content filter stopped the generation."
    )
    MAX_TOKENS = strawberry.enum_value(message.IncompleteReason.MAX_TOKENS, description="The token limit was reached.")
    RUN_CANCELLED = strawberry.enum_value(message.IncompleteReason.RUN_CANCELLED, description="The run was cancelled.")
    RUN_EXPIRED = strawberry.enum_value(message.IncompleteReason.RUN_EXPIRED, description="The run expired.")
    RUN_FAILED = strawberry.enum_value(message.IncompleteReason.RUN_FAILED, description="The run failed.")
