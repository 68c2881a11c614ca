"""How far a reader has read a thread.

Must not be here: who a reader is (`core.read_marks`).
"""

from __future__ import annotations

from typing import NamedTuple


class Unread(NamedTuple):
    """The messages of assistants after the last one that was read: their number, up to one above what was asked for."""

    number: int
    read_up_to: str | None
