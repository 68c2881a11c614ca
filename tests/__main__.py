"""Run every check of this project, the same for people and CI: `python -m tests`, with pytest's arguments behind it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_CHECKS: Final = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("pytest", "-n", "2", "--dist", "worksteal", "--durations=12", "--cov", "--cov-report=term", *sys.argv[1:]),
)
# Each of the many servers that tests start would compile the program anew.
_ENVIRONMENT: Final = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}


def main() -> int:
    """Run one check after the other, and stop at the first that fails."""
    for check in _CHECKS:
        print("$", *check, flush=True)  # noqa: T201  (it talks to a person)
        status = subprocess.call([sys.executable, "-m", *check], cwd=_ROOT, env=_ENVIRONMENT)
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
