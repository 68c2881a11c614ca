"""Throughput of `gateway import`: a new database, one file, the program on one core.

Must not be here: what is imported (`corpus`).
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.corpus.messages import DEFAULT, lines
from bench.systems.databases import empty_beside, run_gateway

if TYPE_CHECKING:
    from bench.systems.databases import Prepared

_NAME: Final = "gateway_bench_import"


def messages_a_second(ready: Prepared, count: int) -> float:
    """Import messages into a new database; the start of the program is part of the time."""
    with (
        tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder,
        empty_beside(ready.url, _NAME, Path(folder)) as empty,
    ):
        source = Path(folder) / "messages.jsonl"
        with source.open("w") as out:
            out.writelines(f"{line}\n" for line in lines(DEFAULT, count, count // 3))
        run_gateway(ready.ours, empty, "migrate")
        core = min(os.sched_getaffinity(0))  # the database has the other cores
        begin = time.perf_counter()
        run_gateway(ready.ours, empty, "import", str(source), cores={core})
        return count / (time.perf_counter() - begin)
