"""Changes of a thread and of the list of threads, one data class for each kind.

Must not be here: how changes are read (`store`) or announced (`events`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gateway.domain.message import Message
    from gateway.domain.run import Run
    from gateway.domain.thread import Thread

Topic = tuple[str, str]  # project and thread


class Hint(NamedTuple):
    """News that a thread has changed, up to a position; where that is not known, its followers read to find out.

    `only_text` is true where text was appended to a message, of which lists of threads show nothing.
    """

    project_id: str
    thread_id: str
    owner: str | None = None
    position: int | None = None
    only_text: bool = False

    @property
    def topic(self) -> Topic:
        """The topic that its followers listen to."""
        return self.project_id, self.thread_id


def merged(earlier: Hint | None, later: Hint) -> Hint:
    """Return one hint for two of a thread."""
    return later if earlier is None or earlier.only_text else later._replace(only_text=False)


@dataclass(frozen=True, slots=True)
class MessageCreated:
    """A message was created; `message` is its current state."""

    position: int
    message: Message


@dataclass(frozen=True, slots=True)
class MessageUpdated:
    """A message was changed or finished; `message` is its current state."""

    position: int
    message: Message


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """A message was deleted."""

    position: int
    message_id: str


@dataclass(frozen=True, slots=True)
class MessageDelta:
    """Text was appended to a message in progress.

    Units: `offset` is in UTF-16 code units, like `length` in JavaScript.
    """

    position: int
    message_id: str
    part_index: int
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class RunCreated:
    """A run was created; `run` is its current state."""

    position: int
    run: Run


@dataclass(frozen=True, slots=True)
class RunUpdated:
    """A run was changed; `run` is its current state."""

    position: int
    run: Run


@dataclass(frozen=True, slots=True)
class ThreadUpdated:
    """The thread itself was changed; `thread` is its current state."""

    position: int
    thread: Thread


@dataclass(frozen=True, slots=True)
class ThreadDeleted:
    """The thread was deleted; no change follows."""

    position: int
    thread_id: str


Change = (
    MessageCreated
    | MessageUpdated
    | MessageDeleted
    | MessageDelta
    | RunCreated
    | RunUpdated
    | ThreadUpdated
    | ThreadDeleted
)


@dataclass(frozen=True, slots=True)
class ThreadCreated:
    """A thread was created."""

    thread: Thread


@dataclass(frozen=True, slots=True)
class ThreadMoved:
    """A message of the thread was created or finished."""

    thread: Thread


@dataclass(frozen=True, slots=True)
class ThreadRead:
    """The reader who follows the list has moved the read mark in a thread."""

    thread_id: str


@dataclass(frozen=True, slots=True)
class ThreadRemoved:
    """The thread is not in the list any more."""

    thread: Thread


@dataclass(frozen=True, slots=True)
class OwnerErased:
    """The owner of the threads was erased; it ends subscriptions to the list, and is not emitted."""


ListChange = ThreadCreated | ThreadMoved | ThreadUpdated | ThreadDeleted | ThreadRead | ThreadRemoved
