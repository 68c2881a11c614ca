"""What an import has added and what it has refused, with the reasons.

Must not be here: importing (`transfer`, `run_transfer`); reports about it (the layer above).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from gateway.domain.thread import Thread
    from gateway.store.staged_runs import RunLine
    from gateway.store.staging import Staged

_COUNTS: Final = ("threads", "messages", "runs", "steps", "assistants", "known", "deleted", "deleted_lines")


class Given(NamedTuple):
    """A thread to import; one without a line of its own is inferred from its messages."""

    thread: Thread
    has_line: bool = True


class Refused(NamedTuple):
    """A thread that was not imported, the message that caused it, and the reason.

    In a long existing thread, some messages may have been `added` before the conflict.
    """

    staged: Staged
    reason: str
    added: int = 0


class RefusedLine(NamedTuple):
    """A line that was not imported, and the reason."""

    line: RunLine
    reason: str


class RefusedError(Exception):
    """A message cannot be imported, so its thread cannot."""

    def __init__(self, refused: Refused) -> None:
        super().__init__()
        self.refused = refused


def held_by(message_id: str, thread_id: str) -> str:
    """Say why a message cannot be added to a thread while it is in another one."""
    return f"'{message_id}' is already a message of '{thread_id}'."


def answered_by(thread_id: str, run_id: str) -> str:
    """Say why nothing can be added to a thread while a run answers it."""
    return f"'{thread_id}' is being answered by '{run_id}': import it again when that run has ended."


@dataclass(slots=True)
class Taken:
    """The counts of what was added, of what existed before, and of what stays deleted; and what was refused."""

    threads: int = 0
    messages: int = 0
    runs: int = 0
    steps: int = 0
    assistants: int = 0
    known: int = 0
    deleted: int = 0
    deleted_lines: int = 0  # of messages, runs and steps of deleted threads
    refused: list[Refused] = field(default_factory=list)
    refused_lines: list[RefusedLine] = field(default_factory=list)

    def add(self, other: Taken) -> None:
        """Add the counts of another part."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
