"""The databases of a run, temporary or named, filled and with an API key for our server.

Must not be here: rows (`rows`).
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import make_url

from bench.systems.catalog import SQLITE, environment
from bench.systems.rows import prepare, run_alone
from gateway.settings.load import load_settings
from tests.postgres import postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.systems.rows import Loaded

_SECRET: Final = re.compile(r"sk-\S+")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A filled database; `key` is an API key of our server."""

    kind: str
    url: str
    key: str
    loaded: Loaded


@contextmanager
def database(name: str) -> Iterator[str]:
    """Open the named database, or a temporary one if only its kind is given."""
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


@contextmanager
def empty_beside(url: str, name: str, folder: Path) -> Iterator[str]:
    """Create another database of the same kind, in a folder or on the same server, and remove it at the end."""
    parsed = make_url(url)
    if parsed.get_backend_name() == SQLITE:
        yield f"sqlite:///{folder}/{name}.db"
        return
    asyncio.run(run_alone(url, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}"))
    try:
        yield parsed.set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(run_alone(url, f"DROP DATABASE {name}"))


def prepared(url: str, message_count: int, long_count: int) -> Prepared:
    """Fill a database, unless an earlier run has filled it, and create an API key."""
    loaded = asyncio.run(prepare(url, message_count, long_count))
    return Prepared(make_url(url).get_backend_name(), url, _make_key(url), loaded)


def _make_key(url: str) -> str:
    """Create an API key as a user does; our server then authenticates each request."""
    command = [sys.executable, "-m", "gateway", "keys", "create", "--name", "bench"]
    variables = {**os.environ, **environment(url)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    found = _SECRET.search(done.stdout + done.stderr)
    if found is None:
        raise SystemExit(f"No key was shown:\n{done.stdout}{done.stderr}")
    return found[0]
