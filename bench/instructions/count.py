"""Count a server's instructions for a request by valgrind's callgrind: of its process alone, without the kernel's.

Counted over one connection, in a pass of its own: a server is fifty times slower meanwhile, so nothing is timed. The
same requests give the same figures within a percent, whatever else the machine does.
Must not be here: which requests are sent (`cases`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.instructions.callgrind import in_libraries
from bench.systems.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.systems.catalog import System
    from bench.systems.server import Server

REQUESTS: Final = 20  # that are counted: two rounds of the mix
WARM_UP: Final = 30  # before, without counting, which is some ten times faster
SETTLED: Final = 10  # while valgrind translates all code anew
ALL: Final = WARM_UP + SETTLED + REQUESTS
_ROUND: Final = 10  # requests of the mix; a case whose requests are slow needs no more, as they repeat well
_PATIENCE_S: Final = 8.0
_SHOWN: Final = 8  # libraries: the others have next to nothing
_SLOW: Final = {
    "PYTHONHASHSEED": "0",  # the same dictionaries every time
    "GATEWAY_GRAPHQL_TIMEOUT_S": "600",
    # Copying by `rep movsb` is one instruction to a processor, and one for each byte to valgrind.
    "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000",
}


@dataclass(frozen=True, slots=True)
class Instructions:
    """Thousands of instructions a request, in all and by library; statements of SQL where the server counts them."""

    kilo: float
    libraries: dict[str, float] = field(default_factory=dict)
    statements: float | None = None


@dataclass(frozen=True, slots=True)
class CountedServer:
    """A server within valgrind."""

    server: Server
    folder: Path
    control: str
    is_ours: bool

    def count(self, send: Callable[[], object]) -> Instructions:
        """Warm up, and count what is done for a request; `send` sends one and waits for all that it causes."""
        _repeat(send, WARM_UP)
        if self.is_ours:
            os.kill(self.server.pid, signal.SIGUSR1)  # `slow_server` collects garbage then
        before = self.server.statements()
        for each in self.folder.iterdir():
            each.unlink()
        self._control("-i", "on")
        settled = _repeat(send, SETTLED)
        self._control("-z")
        requests = _repeat(send, REQUESTS)
        self._control("-d")
        self._control("-i", "off")
        after = self.server.statements()
        [dumped] = self.folder.glob(f"out.{self.server.pid}.*")
        libraries = in_libraries(dumped)
        most = {name: number / requests / 1_000 for name, number in libraries.most_common(_SHOWN)}
        statements = None if before is None or after is None else (after - before) / (settled + requests)
        return Instructions(libraries.total() / requests / 1_000, most, statements)

    def _control(self, *what: str) -> None:
        subprocess.run([self.control, *what, str(self.server.pid)], capture_output=True, check=True)


@contextmanager
def counted(system: System, database_url: str) -> Iterator[CountedServer]:
    """Serve a system within valgrind.

    Errors: SystemExit where valgrind is not installed.
    """
    control = shutil.which("callgrind_control")
    if control is None:
        raise SystemExit("Instructions cannot be counted: valgrind is not installed.")
    with tempfile.TemporaryDirectory() as folder:
        under = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--smc-check=none"]
        with serve(system, database_url, [*under, f"--callgrind-out-file={folder}/out.%p"], _SLOW) as server:
            yield CountedServer(server, Path(folder), control, is_ours=system.program is None)


def _repeat(send: Callable[[], object], number: int) -> int:
    """Send so many requests, or fewer whole rounds where that takes long, and return how many."""
    begin = time.monotonic()
    for sent in range(1, number + 1):
        send()
        if sent % _ROUND == 0 and time.monotonic() - begin > _PATIENCE_S:
            return sent
    return number
