"""The machine of a run.

Must not be here: results.
"""

from __future__ import annotations

import os
import platform
import re
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

_SYNCS: Final = 50


def machine() -> dict[str, str]:
    """Describe the machine."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return {
        "CPU": named[1] if named else platform.processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "a write on disk takes": f"{_sync_ms(Path(tempfile.gettempdir())):.2f} ms",
    }


def _sync_ms(folder: Path) -> float:
    """Measure a synchronous write to this disk, the least cost of a durable commit. Units: milliseconds."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            begin = time.perf_counter()
            file.write(b"." * 4_096)
            file.flush()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    return median(times) * 1_000
