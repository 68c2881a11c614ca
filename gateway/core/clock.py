"""The time of what is created and changed.

Must not be here: how long something takes, which is measured with a monotonic clock.
"""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the time in milliseconds since the epoch; all other stored times are the seconds of it."""
    return time.time_ns() // 1_000_000
