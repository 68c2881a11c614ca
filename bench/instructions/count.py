"""Count a server's instructions for a request, by perf where it works, else by valgrind's callgrind.

Counted over one connection, in a pass of its own: counting slows a server down, so nothing is timed meanwhile. perf
counts the kernel's instructions too; callgrind those of the process alone, so its figures are lower: compare them with
those of `hello` and `bare` of the same run.
Must not be here: which requests are sent (`cases`).
"""

from __future__ import annotations

import itertools
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from bench.instructions.callgrind import in_libraries
from bench.load.single_connection import SingleConnection
from bench.systems.server import STOP_S, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bench.cases import Case
    from bench.systems.catalog import System
    from bench.systems.server import Server

ATTACH_S: Final = 0.2  # what perf takes to look at a process
_PERF: Final = ("perf", "stat", "-x", ",", "-e", "instructions")
_PERF_COUNTED: Final = re.compile(r"^(\d+),[^,]*,instructions", re.MULTILINE)
_SHOWN: Final = 8  # libraries: the others have next to nothing
_SETTLED: Final = 8
_AT_LEAST: Final = 8
_PATIENCE_S: Final = 30.0  # then what was sent until then is enough: a slow system repeats as well as a fast one
_SLOW: Final = {
    "PYTHONHASHSEED": "0",  # the same dictionaries every time
    "GATEWAY_GRAPHQL_TIMEOUT_S": "600",
    # Copying by `rep movsb` is one instruction to a processor, and one for each byte to valgrind.
    "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000",
}


@dataclass(frozen=True, slots=True)
class Instructions:
    """A number of instructions, and that of each library where it is known."""

    requests: int
    total: int
    libraries: dict[str, int] = field(default_factory=dict)

    def each(self) -> tuple[float, dict[str, float]]:
        """Divide by the number of requests. Units: thousands."""
        parts = {name: number / self.requests / 1_000 for name, number in self.libraries.items()}
        return self.total / self.requests / 1_000, parts


class Counter(Protocol):
    """A tool that counts instructions."""

    @property
    def name(self) -> str:
        """Name the tool and what it counts."""

    @property
    def requests(self) -> int:
        """Requests of each case that are counted."""

    def warm_up(self, system: System) -> int:
        """Requests that warm a system up before any is counted."""

    def serving(self, system: System, database_url: str) -> AbstractContextManager[Server]:
        """Serve a system so that it can be counted."""

    def count(self, server: Server, send: Callable[[int], int]) -> Instructions | None:
        """Count what the server does for `requests` requests, or for as many as were answered in good time."""


@dataclass(frozen=True, slots=True)
class Perf:
    """Debian's linux-perf, which asks the processor; in many virtual machines it does not count."""

    name: str = "perf (user and kernel)"
    requests: int = 1_000

    def warm_up(self, system: System) -> int:
        """Give just-in-time compilers time."""
        return 2_000 if system.on_node else 200

    def serving(self, system: System, database_url: str) -> AbstractContextManager[Server]:
        """Serve as for timing."""
        return serve(system, database_url)

    def count(self, server: Server, send: Callable[[int], int]) -> Instructions | None:
        """Attach to all processes of the server."""
        pids = ",".join(str(process.pid) for process in server.processes())
        counting = subprocess.Popen([*_PERF, "-p", pids], stderr=subprocess.PIPE, text=True)
        time.sleep(ATTACH_S)
        sent = send(self.requests)
        counting.send_signal(signal.SIGINT)
        _, output = counting.communicate(timeout=STOP_S)
        counted = _PERF_COUNTED.search(output)
        return Instructions(sent, int(counted[1])) if counted else None


@dataclass(frozen=True, slots=True)
class Callgrind:
    """Valgrind's tool, which runs the program itself: fifty times slower, and the same every time."""

    folder: Path
    control: str
    name: str = "callgrind (user space only)"
    requests: int = 40

    def warm_up(self, system: System) -> int:
        """Warm up without counting, which is some ten times faster; what V8 compiles as it runs takes long."""
        return 500 if system.on_node else 60

    def serving(self, system: System, database_url: str) -> AbstractContextManager[Server]:
        """Serve within valgrind; Node.js writes code as it runs."""
        how = ["--smc-check=all-non-file"] if system.on_node else ["--smc-check=none"]
        out = f"--callgrind-out-file={self.folder}/out.%p"
        under = ["valgrind", "--tool=callgrind", "--instr-atstart=no", out, *how]
        return serve(system, database_url, under, _SLOW)

    def count(self, server: Server, send: Callable[[int], int]) -> Instructions | None:
        """Switch counting on, take what is counted from zero on, and switch it off again."""
        for each in self.folder.iterdir():
            each.unlink()
        self._control(server, "-i", "on")
        send(_SETTLED)  # valgrind translates all code anew
        self._control(server, "-z")
        sent = send(self.requests)
        self._control(server, "-d")
        self._control(server, "-i", "off")
        dumped = list(self.folder.glob(f"out.{server.pid}.*"))
        if not dumped:
            return None
        libraries = in_libraries(dumped[0])
        return Instructions(sent, libraries.total(), dict(libraries.most_common(_SHOWN)))

    def _control(self, server: Server, *what: str) -> None:
        subprocess.run([self.control, *what, str(server.pid)], capture_output=True, check=True)


@contextmanager
def counter() -> Iterator[Counter | None]:
    """Find a way to count that works on this machine, if there is one."""
    if _perf_counts():
        yield Perf()
    elif control := shutil.which("callgrind_control"):
        with tempfile.TemporaryDirectory() as folder:
            yield Callgrind(Path(folder), control)
    else:
        yield None


def count(
    counter: Counter, system: System, database_url: str, cases: Sequence[Case]
) -> Iterator[tuple[str, float | None, dict[str, float]]]:
    """Count a system's instructions, in thousands for each request, of one case after the other, and by library."""
    with counter.serving(system, database_url) as server, SingleConnection(server.port) as connection:
        for case in cases:
            requests = itertools.cycle(case.requests)

            def send(number: int, requests: Iterator[str] = requests) -> int:
                end = time.monotonic() + _PATIENCE_S
                sent = 0
                while sent < number and (sent < _AT_LEAST or time.monotonic() < end):
                    connection.ask(next(requests))
                    sent += 1
                return sent

            send(counter.warm_up(system))
            counted = counter.count(server, send)
            yield (case.name, *(counted.each() if counted else (None, {})))


def _perf_counts() -> bool:
    if shutil.which("perf") is None:
        return False
    done = subprocess.run([*_PERF, "true"], capture_output=True, text=True, check=False)
    return _PERF_COUNTED.search(done.stderr) is not None
