"""How this process gives memory back.

Must not be here: what it is taken for.
"""

from __future__ import annotations

import ctypes
from typing import Final

_MMAP_THRESHOLD: Final = -3  # Source: glibc, malloc.h, "mallopt options"
_LARGE: Final = 512 * 1024


def give_back_large_blocks() -> None:
    """Let each large block be a mapping of its own, which is gone with it; where the C library cannot, do nothing.

    Left to itself glibc moves this bound up to 32 MB, and holds what answers of some megabytes took between others
    (measured: 43 MB for each answer of 16 MB that nobody reads).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
