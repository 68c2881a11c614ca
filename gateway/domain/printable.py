"""Text for a terminal: what a file or a database holds does not steer it.

Must not be here: writing to it.
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 1_000  # characters of one sentence, of which what was sent is a part
# C0 and C1 steer a terminal, and bidirectional marks let a line be read as another; a lone surrogate cannot be written.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Write what could steer a terminal as its escape, and cut what is too long."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)
