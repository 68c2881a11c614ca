"""Commands forked off a process that has loaded the program once: to load it is most of what a server's start costs.

From its command line on such a process does all that one does which a user starts.
Must not be here: what is done with it once it runs (`server`).
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from gateway.cli.commands import main
from gateway.server import workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CAN_FORK: Final = hasattr(os, "pidfd_open")  # it tells when a process ends that is not our child; Linux has it
_ROOT: Final = Path(__file__).parents[2]
# What commands import when they run.
_LOADED: Final = (
    "gateway.app",
    "gateway.cli.config",
    "gateway.cli.doctor",
    "gateway.cli.keys",
    "gateway.cli.restore",
    "gateway.cli.salvage",
    "gateway.cli.transfer",
    "gateway.server.serve",
    "gateway.store.schema.migrate",
)
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
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as named:
            named.bind(b"")  # Linux chooses a name without a file. Source: unix(7), "Autobind feature"
            named.listen()
            self.name: str = named.getsockname()[1:].decode()
            ends = [theirs.fileno(), named.fileno()]
            command = [sys.executable, "-m", __name__, *map(str, ends)]
            self._process = subprocess.Popen(command, cwd=_ROOT, pass_fds=ends)
        self._one_at_a_time = threading.Lock()

    def serve(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Forked:
        """Start a command whose errors can be read as it tells them."""
        reader, writer = os.pipe()
        with Path(os.devnull).open("r+b") as nothing, os.fdopen(writer, "wb") as errors:
            files = (nothing.fileno(), nothing.fileno(), errors.fileno())
            pid = self._forked(arguments, folder, environment, *files)
        return Forked(self, pid, os.fdopen(reader, encoding="utf-8"))

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], patience_s: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with Path(os.devnull).open() as none, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            files = (none.fileno(), out.fileno(), err.fileno())
            forked = Forked(self, self._forked(arguments, folder, environment, *files))
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


def _attend(owner: socket.socket, named: socket.socket) -> None:
    """Answer the process that started this one, until it ends, and programs that know the name."""
    for each in _LOADED:
        import_module(each)
    # A server's workers need not load it again either.
    vars(workers)["_spawn"] = multiprocessing.get_context("fork")
    gc.freeze()  # a collection in a fork would copy all of it
    is_asked = True
    while is_asked:
        ready, _, _ = select.select([owner, named], [], [])
        if named in ready:
            with named.accept()[0] as one:
                _answer(one, one, owner, named)
        if owner in ready:
            is_asked = _answer(owner, owner, named)


def _answer(asked: socket.socket, *ours: socket.socket) -> bool:
    """Fork, or tell how one ended, if anything is asked; each child leaves this by its own way out."""
    told, files, _, _ = socket.recv_fds(asked, _MOST, 3)
    if not told:
        return False
    request = json.loads(told)
    if "of" in request:
        _, status = os.waitpid(request["of"], 0)
        asked.send(b"%d" % os.waitstatus_to_exitcode(status))
        return True
    pid = os.fork()
    if not pid:
        for each in ours:
            each.close()
        _become(request["in"], request["environment"], files)
        main(request["run"], prog_name="python -m gateway")
    for file in files:
        os.close(file)
    asked.send(b"%d" % pid)
    return True


def _become(folder: str, environment: Mapping[str, str], files: Sequence[int]) -> None:
    """Be like a process that was just started, in a session of its own, with its three files."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    _attend(*(socket.socket(fileno=int(end)) for end in sys.argv[1:]))
