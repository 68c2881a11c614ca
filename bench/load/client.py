"""A client of the load generator, which keeps running for one job after the other.

Must not be here: how requests are sent (`load_generator`), which requests (`cases`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from bench.cases.case import Case

LOAD_GENERATOR: Final = Path(__file__).with_name("load_generator.py")


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job; `cpu_s` is the CPU time of the load generator."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    bad: int
    first_bad: str


class LoadClient:
    """The load generator, started by `with`."""

    def __enter__(self) -> Self:
        command = [sys.executable, str(LOAD_GENERATOR)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def send_requests(
        self, port: int, case: Case, connections: int, seconds: float, at_most: int | None = None
    ) -> JobResult:
        """Send the requests of a case for some seconds, or a number of them.

        Errors: SystemExit with the first answer that was not good.
        """
        how = {"port": port, "connections": connections, "seconds": seconds, "at_most": at_most}
        _pipe(self._process.stdin).write(json.dumps({"asks": case.asks, **how}) + "\n")
        _pipe(self._process.stdin).flush()
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise SystemExit(f"{case.name}: the load generator has ended.")
        seen = JobResult(**json.loads(line))
        if seen.bad:
            raise SystemExit(f"{case.name}: {seen.bad} wrong answers, the first was:\n{seen.first_bad}")
        return seen


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise TypeError("both pipes were asked for")
    return pipe
