"""Escapes control sequences in untrusted text for a terminal.

Must not be here: writing to the terminal (`cli`).
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 1_000  # characters of one message, which may quote input
# C0 and C1 control a terminal, bidirectional marks reorder what is displayed, and a lone surrogate cannot be encoded.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Escape control characters, and truncate long text."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)
