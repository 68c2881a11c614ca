"""The databases that a run is made on: passing ones, or those that were named; filled, and with a key for ours.

Must not be here: the rows (`load`).
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from load import prepare, run_alone
from sqlalchemy import make_url
from systems import SQLITE, environment

from gateway.settings import load_settings
from tests.postgres import postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from load import Loaded

_SECRET: Final = re.compile(r"sk-\S+")
_SYNCS: Final = 50


@dataclass(frozen=True, slots=True)
class Prepared:
    """A database that is filled; `key` is the secret that lets into our server."""

    kind: str
    url: str
    key: str
    loaded: Loaded


@contextmanager
def database(name: str) -> Iterator[str]:
    """Give the URL of the database that was named, and make one where only its kind is said."""
    if name == SQLITE:
        with tempfile.TemporaryDirectory(prefix="gateway-bench-", dir=os.environ.get("TMPDIR")) as folder:
            yield f"sqlite:///{folder}/bench.db"
    elif name == "postgres":
        with postgres_server() as url:
            # Tests do without it, but what an acknowledged message costs is part of what is measured.
            asyncio.run(run_alone(url, "ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()"))
            yield url
    else:
        yield load_settings({"database_url": name}).database_url


def prepared(url: str, message_count: int, long_count: int) -> Prepared:
    """Fill a database, or find it filled by an earlier run, and make a key."""
    loaded = asyncio.run(prepare(url, message_count, long_count))
    return Prepared(make_url(url).get_backend_name(), url, _make_key(url), loaded)


def _make_key(url: str) -> str:
    """Make a key as a user does: with keys made, our server checks each request's."""
    command = [sys.executable, "-m", "gateway", "keys", "create", "--name", "bench"]
    variables = {**os.environ, **environment(url)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    found = _SECRET.search(done.stdout + done.stderr)
    if found is None:
        raise SystemExit(f"No key was shown:\n{done.stdout}{done.stderr}")
    return found[0]


def sync_ms(folder: Path) -> float:
    """Say what it takes to put a few bytes on this disk: what a commit that waits for it costs at least."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            begin = time.perf_counter()
            file.write(b"." * 4_096)
            file.flush()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    return median(times) * 1_000
