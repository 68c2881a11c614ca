"""A thread, and what is needed to make or change one.

Must not be here: how it is read from a request (`parse`) or kept (`store`).
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
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import NewMessage

ToolResources = dict[str, Any]


class Inferred(IntFlag):
    """What of a thread an import made up from its messages, and nobody has told or changed since."""

    CREATED_AT = 1
    METADATA = 2
    TOOL_RESOURCES = 4
    OWNER = 8


class ThreadRow(NamedTuple):
    """What is kept of a thread, in the order of the columns."""

    id: ThreadId
    created_at: int
    metadata_json: str
    tool_resources_json: str
    message_count: int
    owner: str | None = None


class Thread(ThreadRow):
    """One thread as it is kept; JSON stays text until somebody asks for what is in it.

    `owner` is the end user that it belongs to, if it belongs to one.
    Units: `created_at` is Unix seconds, UTC.
    """

    @cached_property
    def metadata(self) -> Metadata:
        """The metadata as a mapping."""
        return load_metadata(self.metadata_json)

    @cached_property
    def tool_resources(self) -> ToolResources:
        """The tool resources as the wire has them."""
        loaded: ToolResources = orjson.loads(self.tool_resources_json)
        return loaded


@dataclass(frozen=True, slots=True)
class NewThread:
    """What a caller gives to make a thread; its messages are created with it or not at all."""

    metadata: Metadata
    tool_resources: ToolResources
    messages: tuple[NewMessage, ...] = ()
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class ThreadPatch:
    """What a caller wants changed in a thread; what is UNSET stays."""

    metadata: MetadataPatch | Literal[Unset.UNSET] = UNSET
    tool_resources: ToolResources | Literal[Unset.UNSET] = UNSET
