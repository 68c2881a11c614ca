"""Run every check of this project, the same for people and CI: `python -m tests`, with pytest's arguments behind it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Final

_ROOT: Final = Path(__file__).parents[1]
_RUFF: Final = (("ruff", "check", "."), ("ruff", "format", "--check", "."))
# More workers than cores: for about half of its time a test waits for a server, a browser, a database or a deadline.
_WORKERS: Final = 2 * (os.cpu_count() or 2)
_PYTEST: Final = ("pytest", f"-n{_WORKERS}", "--dist=worksteal", "--durations=12", "--cov", "--cov-report=term")
# Each of the many servers that tests start would compile the program anew.
_ENVIRONMENT: Final = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}


def main() -> int:
    """Run ruff, then mypy beside pytest, whose workers often wait for what they test; mypy is reported at the end."""
    for check in _RUFF:
        if status := _started(*check).wait():
            return status
    with tempfile.TemporaryFile() as told:
        types = _started("mypy", stdout=told)
        tests = _started(*_PYTEST, *sys.argv[1:])
        statuses = tests.wait(), types.wait()
        told.seek(0)
        print(told.read().decode(), end="", flush=True)  # noqa: T201  (it talks to a person)
    return next(filter(None, statuses), 0)  # one that was killed has a negative one


def _started(*check: str, stdout: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    print("$", *check, flush=True)  # noqa: T201  (as above)
    return subprocess.Popen([sys.executable, "-m", *check], cwd=_ROOT, env=_ENVIRONMENT, stdout=stdout)


if __name__ == "__main__":
    sys.exit(main())
