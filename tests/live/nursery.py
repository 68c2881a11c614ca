"""Commands forked off a process that has loaded the program once: to load it is most of what a server's start costs.

From its command line on such a process does all that one does which a user starts.
Must not be here: what is done with it once it runs (`server`).
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CAN_FORK: Final = hasattr(os, "pidfd_open")  # it tells when a process ends that is not our child; Linux has it
_ROOT: Final = Path(__file__).parents[2]
_MOST: Final = 1 << 16  # bytes of one request


class Forked:
    """A process that was forked there, as far as it is used like one of our own (`subprocess.Popen`)."""

    def __init__(self, nursery: Nursery, pid: int, stderr: IO[str] | None = None) -> None:
        self.pid = pid
        self.stderr = stderr
        self._nursery = nursery
        self._ended = os.pidfd_open(pid)
        self._code: int | None = None

    def send_signal(self, how: int) -> None:
        """Send it a signal, unless it is known to have ended."""
        if self._code is None:
            os.kill(self.pid, how)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        """Wait until it has ended, and give its exit code."""
        if self._code is None:
            waiting = select.poll()
            waiting.register(self._ended, select.POLLIN)
            if not waiting.poll(timeout * 1_000):
                raise subprocess.TimeoutExpired("gateway", timeout)
            self._code = self._nursery.ask({"of": self.pid})
            os.close(self._ended)
        return self._code


class Nursery:
    """The process that has loaded the program, which ends with us."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())], cwd=_ROOT, pass_fds=[theirs.fileno()]
            )
        self._one_at_a_time = threading.Lock()

    def serve(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Forked:
        """Start a command whose errors can be read as it tells them."""
        reader, writer = os.pipe()
        with Path(os.devnull).open("wb") as nothing, os.fdopen(writer, "wb") as errors:
            pid = self._forked(arguments, folder, environment, nothing.fileno(), errors.fileno())
        return Forked(self, pid, os.fdopen(reader, encoding="utf-8"))

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], patience_s: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            forked = Forked(self, self._forked(arguments, folder, environment, out.fileno(), err.fileno()))
            code = forked.wait(patience_s)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read(), err.read())

    def _forked(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *files: int) -> int:
        return self.ask({"run": arguments, "in": str(folder), "environment": dict(environment)}, *files)

    def ask(self, told: Mapping[str, object], *files: int) -> int:
        """Ask for one thing, which is answered with a number."""
        with self._one_at_a_time:
            socket.send_fds(self._socket, [json.dumps(told).encode()], files)
            return int(self._socket.recv(_MOST))


@cache
def nursery() -> Nursery:
    """Give the one of this process."""
    return Nursery()


def _attend(asked: socket.socket) -> None:
    """Fork and tell of ends until nobody asks any more; each child leaves this by its own way out."""
    from gateway import app  # noqa: F401, PLC0415  (this is what is loaded once)
    from gateway.cli.commands import main  # noqa: PLC0415  (as above)
    from gateway.server import serve  # noqa: F401, PLC0415  (this is what is loaded once)

    while True:
        told, files, _, _ = socket.recv_fds(asked, _MOST, 2)
        if not told:
            return
        request = json.loads(told)
        if "of" in request:
            _, status = os.waitpid(request["of"], 0)
            asked.send(b"%d" % os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if not pid:
            asked.close()
            _become(request["in"], request["environment"], files)
            main(request["run"], prog_name="python -m gateway")
        for file in files:
            os.close(file)
        asked.send(b"%d" % pid)


def _become(folder: str, environment: Mapping[str, str], files: Sequence[int]) -> None:
    """Be like a process that was just started, in a session of its own, with these files to write to."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    _attend(socket.socket(fileno=int(sys.argv[1])))
