"""The databases of a run, temporary or named, filled by the gateway that is measured and with API keys for it.

Must not be here: what is stored (`corpus`), processes (`server`).
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from sqlalchemy import make_url

from bench.cases import documents
from bench.cases.case import graphql, request
from bench.corpus.messages import (
    DEFAULT,
    FILLED,
    GROWN,
    LONG,
    PROGRESS,
    PROJECTS,
    WRITTEN,
    lines,
    streamed_ids,
    thread_id,
)
from bench.load.single_connection import SingleConnection
from bench.systems.catalog import POSTGRES, PYTHON, SQLITE
from bench.systems.server import serve
from gateway.settings.load import load_settings
from tests.postgres import postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.systems.catalog import System

_SECRET: Final = re.compile(r"sk-\S+")
_APPENDED: Final = 5  # pieces of each message in progress
_HELD: Final = f"SELECT message_count FROM threads WHERE id = '{thread_id(LONG)}'"  # noqa: S608  (our own words)
_VERSION: Final = {SQLITE: "SELECT sqlite_version()", POSTGRES: "SHOW server_version"}
# Vacuumed too, or PostgreSQL would do it by itself while it is measured.
ANALYZE: Final = {SQLITE: "ANALYZE", POSTGRES: "VACUUM (ANALYZE)"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A filled database; `keys` are API keys by project, `postmaster` the process of a PostgreSQL on this machine."""

    kind: str
    url: str
    version: str
    long: int
    keys: Mapping[str, str]
    ours: System
    postmaster: int | None


@contextmanager
def database(name: str) -> Iterator[str]:
    """Open the named database, or a temporary one if only its kind is given."""
    if name == SQLITE:
        with tempfile.TemporaryDirectory(prefix="gateway-bench-", dir=os.environ.get("TMPDIR")) as folder:
            yield f"sqlite:///{folder}/bench.db"
    elif name == "postgres":
        with postgres_server() as url:
            # Tests do without it, but what an acknowledged message costs is part of what is measured.
            run_sql(url, "ALTER SYSTEM RESET fsync")
            # How many images of whole pages the log has depends on when a checkpoint was, not on what was asked.
            run_sql(url, "ALTER SYSTEM SET full_page_writes = off")
            run_sql(url, "SELECT pg_reload_conf()")
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
    run_sql(url, f"DROP DATABASE IF EXISTS {name}")
    run_sql(url, f"CREATE DATABASE {name}")
    try:
        yield parsed.set(database=name).render_as_string(hide_password=False)
    finally:
        run_sql(url, f"DROP DATABASE {name}")


def prepared(url: str, ours: System, messages: int, long: int) -> Prepared:
    """Fill a database, unless an earlier run has filled it, and create API keys.

    Errors: SystemExit if it holds other data.
    """
    kind = make_url(url).get_backend_name()
    run_gateway(ours, url, "migrate")
    held = run_sql(url, _HELD)
    if not held and not run_sql(url, "SELECT 1 FROM threads LIMIT 1"):
        _fill(url, ours, messages, long)
    elif held != [(long,)]:
        raise SystemExit("The database holds other threads than this program would load. Give it an empty one.")
    ready = described(url, ours, PROJECTS, long)
    if not held:
        _write(ready)
        run_sql(url, ANALYZE[kind])
    return ready


def described(url: str, ours: System, projects: Sequence[str], long: int = 0) -> Prepared:
    """Create API keys of a filled database, and describe it."""
    kind = make_url(url).get_backend_name()
    [(version,)] = run_sql(url, _VERSION[kind])
    keys = {project: make_key(ours, url, project) for project in projects}
    return Prepared(kind, url, f"{kind} {version}", long, keys, ours, _postmaster(url, kind))


def _fill(url: str, ours: System, messages: int, long: int) -> None:
    """Import as a user does: what the gateway notes about a message when it is written, it notes about these."""
    print(f"Importing {messages:,} messages ...", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        for project in FILLED:
            file = Path(folder) / f"{project}.jsonl"
            with file.open("w") as out:
                out.writelines(f"{line}\n" for line in lines(project, messages, long))
            run_gateway(ours, url, "import", "--project", project, str(file))


def _write(ready: Prepared) -> None:
    """Append text to the messages in progress, and add a message to each thread that will grow.

    The first message after an import indexes the thread's metadata anew, which no other one does.
    """
    first = {"role": "user", "content": "Hello"}
    with serve(ready.ours, ready.url) as server, SingleConnection(server.port) as connection:
        for number in range(WRITTEN):
            path = f"/v1/threads/{thread_id(GROWN, number)}/messages"
            connection.ask(request("POST", path, first, ready.keys[DEFAULT]))
        for each in streamed_ids():
            for piece in range(_APPENDED):
                given = {"messageId": each, "text": f' and "{piece}"'}
                connection.ask(graphql(documents.APPEND, {"input": given}, ready.keys[PROGRESS]))


def run_gateway(ours: System, url: str, *arguments: str, cores: set[int] | None = None) -> str:
    """Run a command of the gateway that is measured, on some cores if they are given, and return what it prints.

    Errors: SystemExit with what it said.
    """
    variables = {**os.environ, **ours.environment(url)}
    command = [*PYTHON, "-m", "gateway", *arguments]
    pinned = None if cores is None else partial(os.sched_setaffinity, 0, cores)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, preexec_fn=pinned)
    if done.returncode:
        raise SystemExit(f"gateway {arguments[0]}: {done.stderr or done.stdout}")
    return done.stdout + done.stderr


def make_key(ours: System, url: str, project: str, *more: str) -> str:
    """Create an API key as a user does; the server then authenticates each request."""
    said = run_gateway(ours, url, "keys", "create", "--name", "bench", "--project", project, *more)
    found = _SECRET.search(said)
    if found is None:
        raise SystemExit(f"No key was shown:\n{said}")
    return found[0]


def run_sql(url: str, statement: str) -> Sequence[tuple[Any, ...]]:
    """Run a statement on a connection of its own, without a transaction around it."""
    parsed = make_url(url)
    if parsed.get_backend_name() == SQLITE:
        with closing(sqlite3.connect(str(parsed.database), isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    async def run() -> list[tuple[Any, ...]]:
        plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        opened = await asyncpg.connect(plain)
        try:
            return [tuple(row) for row in await opened.fetch(statement)]
        finally:
            await opened.close()

    return asyncio.run(run())


def _postmaster(url: str, kind: str) -> int | None:
    """Find the first process of PostgreSQL, if it runs on this machine and lets us see its files."""
    if kind == SQLITE:
        return None
    [(folder,)] = run_sql(url, "SHOW data_directory")
    try:
        return int((Path(folder) / "postmaster.pid").read_text().split("\n")[0])
    except OSError:
        return None
