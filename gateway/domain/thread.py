"""A thread, and the input to create or change one.

Must not be here: parsing of requests (`parse`), storage (`store`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

from gateway.domain.metadata import Metadata, MetadataPatch, load_metadata
from gateway.domain.unset import UNSET, Unset

if TYPE_CHECKING:
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import NewMessage

ToolResources = dict[str, Any]


class Inferred(IntFlag):
    """Fields of a thread that an import inferred from its messages, and that no import or request has set since."""

    CREATED_AT = 1
    METADATA = 2
    TOOL_RESOURCES = 4
    OWNER = 8


class ThreadRow(NamedTuple):
    """The stored fields of a thread, in the order of the columns."""

    id: ThreadId
    created_at: int
    metadata_json: str
    tool_resources_json: str
    message_count: int
    owner: str | None = None
    idempotency_key: str | None = None
    activity_at: int | None = None


class Thread(ThreadRow):
    """A thread as it is stored; its JSON is parsed on first use.

    `owner` is the end user that the thread belongs to, if any. `activity_at` is when a message was last created or
    finished, or the thread was created; it is None only before an imported thread is stored.
    Units: `created_at` is Unix seconds, UTC; `activity_at` milliseconds.
    """

    @cached_property
    def metadata(self) -> Metadata:
        """The metadata as a mapping."""
        return load_metadata(self.metadata_json)

    @property
    def title(self) -> str | None:
        """The title, which is metadata by convention."""
        return title_of(self.metadata_json)

    @property
    def last_activity_at(self) -> int:
        """The second of the last activity."""
        return (self.activity_at or 0) // 1_000

    @cached_property
    def tool_resources(self) -> ToolResources:
        """The tool resources, in the format of the API."""
        loaded: ToolResources = orjson.loads(self.tool_resources_json)
        return loaded


def thread_by_id(thread_id: ThreadId) -> Thread:
    """Return a thread of which only the id is known, with None in the other fields."""
    nothing: Any = None
    return Thread(thread_id, nothing, nothing, nothing, nothing)


def title_of(metadata_json: str) -> str | None:
    """Return the title in stored metadata."""
    return load_metadata(metadata_json).get("title") if '"title"' in metadata_json else None


@dataclass(frozen=True, slots=True)
class NewThread:
    """Input to create a thread; its messages are created in the same transaction."""

    metadata: Metadata
    tool_resources: ToolResources
    messages: tuple[NewMessage, ...] = ()
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class NewFork:
    """Input to copy a thread: up to a message, or whole; the metadata is merged into that of the thread."""

    up_to: MessageId | None = None
    metadata: MetadataPatch | Literal[Unset.UNSET] = UNSET
    owner: str | None = None


class ForkSource(NamedTuple):
    """The thread that another one is a copy of, and the last message that was copied; None for all."""

    thread_id: str
    message_id: str | None


@dataclass(frozen=True, slots=True)
class ThreadPatch:
    """Changes of a thread; fields that are UNSET stay."""

    metadata: MetadataPatch | Literal[Unset.UNSET] = UNSET
    tool_resources: ToolResources | Literal[Unset.UNSET] = UNSET
