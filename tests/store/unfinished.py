"""The conditions that omit what is not whole, which every statement of a caller has, taken out of its text."""

from __future__ import annotations

import re
from typing import Final

_OF_THREADS: Final = re.compile(r" AND (?:\w+\.)?filling IS NULL")
_OF_MESSAGES: Final = re.compile(
    r" AND \(SELECT filled.filling FROM threads AS filled WHERE filled.filling IS NOT NULL "
    r"AND \+?filled.project_id = '\w+' AND \+?filled.id = [\w.']+\) IS NULL"
)


def without_conditions(text: str) -> str:
    """Take both conditions out of a statement with single spaces, so that other tests compare the rest of it."""
    return _OF_MESSAGES.sub("", _OF_THREADS.sub("", text))


def omits_unfinished(text: str) -> bool:
    """Say whether a statement has one of them."""
    return without_conditions(text) != text
