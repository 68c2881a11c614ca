"""Throughput of `gateway import`: a new database, one file, the program on one core.

Must not be here: how databases are filled otherwise (`systems.rows`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.systems.catalog import environment
from bench.systems.databases import empty_beside
from bench.systems.rows import rows

_NAME: Final = "gateway_bench_import"
_KEPT: Final = ("id", "created_at", "thread_id", "role", "status", "run_id", "assistant_id", "completed_at")


def messages_a_second(url: str, count: int) -> float:
    """Import messages into a new database; the start of the program is part of the time."""
    with (
        tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder,
        empty_beside(url, _NAME, Path(folder)) as empty,
    ):
        source = Path(folder) / "messages.jsonl"
        _write(source, count)
        _gateway("migrate", url=empty)
        begin = time.perf_counter()
        _gateway("import", str(source), url=empty)
        return count / (time.perf_counter() - begin)


def _gateway(*arguments: str, url: str) -> None:
    command = [sys.executable, "-m", "gateway", *arguments]
    pinned = partial(os.sched_setaffinity, 0, {min(os.sched_getaffinity(0))})  # the database has the other cores
    variables = {**os.environ, **environment(url)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, preexec_fn=pinned)
    if done.returncode:
        raise SystemExit(f"gateway {arguments[0]}: {done.stderr or done.stdout}")


def _write(file: Path, count: int) -> None:
    """Write the rows of a filled database as objects of the API, one a line."""
    threads, messages = rows(count, count // 3)
    with file.open("w") as lines:
        for row in threads:
            thread = {"id": row["id"], "object": "thread", "created_at": row["created_at"], "metadata": {}}
            lines.write(json.dumps(thread) + "\n")
        for row in messages:
            lines.write(json.dumps(_message(row)) + "\n")


def _message(row: dict[str, Any]) -> dict[str, Any]:
    read = {name: json.loads(row[name]) for name in ("content", "attachments", "metadata")}
    return {"object": "thread.message", **{name: row[name] for name in _KEPT}, **read}
