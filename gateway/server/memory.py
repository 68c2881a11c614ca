"""Return freed memory to the operating system.

Must not be here: what allocates it.
"""

from __future__ import annotations

import ctypes
from typing import Final

_MMAP_THRESHOLD: Final = -3  # Source: glibc, malloc.h, "mallopt options"
_LARGE: Final = 512 * 1024


def give_back_large_blocks() -> None:
    """Allocate large blocks as separate mappings, which return to the system when freed; without glibc do nothing.

    By default glibc raises this threshold up to 32 MB, and keeps the memory of large responses between other blocks
    (measured: 43 MB for each response of 16 MB that no client reads).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
