"""What happened in a thread, one dataclass a kind; each knows its position, from which a follower can go on.

Must not be here: how changes are found (`store`) or heard of (`events`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.domain.message import Message
    from gateway.domain.thread import Thread

Topic = tuple[str, str]  # the project and the thread in which something happened


@dataclass(frozen=True, slots=True)
class MessageCreated:
    """A message was added; it is shown as it is now."""

    position: int
    message: Message


@dataclass(frozen=True, slots=True)
class MessageUpdated:
    """A message was changed or finished; it is shown as it is now."""

    position: int
    message: Message


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """A message was deleted."""

    position: int
    message_id: str


@dataclass(frozen=True, slots=True)
class MessageDelta:
    """A message in progress gained text.

    Units: `offset` counts UTF-16 code units, as a browser's `length` does.
    """

    position: int
    message_id: str
    part_index: int
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class ThreadUpdated:
    """The thread itself was changed; it is shown as it is now."""

    position: int
    thread: Thread


@dataclass(frozen=True, slots=True)
class ThreadDeleted:
    """The thread is gone, and nothing comes after this."""

    position: int
    thread_id: str


Change = MessageCreated | MessageUpdated | MessageDeleted | MessageDelta | ThreadUpdated | ThreadDeleted
