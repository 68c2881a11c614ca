from __future__ import annotations

import errno
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gateway.cli import progress
from tests.exports import ROOT, a_message, a_thread, environment, lines

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "threads.jsonl"
    file.write_bytes(lines([a_thread(), a_message("msg_1"), a_message("msg_2")]))
    return file


def seen_on_a_terminal(*arguments: str) -> str:
    """Run the command line with a terminal for its errors, and give what appears there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gateway", *arguments]
    env = environment(TERM="xterm-256color", COLUMNS="120")
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, env=env, cwd=ROOT
    )
    os.close(theirs)
    seen = b""
    try:
        while some := os.read(ours, 65536):
            seen += some
    except OSError as error:
        if error.errno != errno.EIO:  # Linux says so where the other end is closed
            raise
    os.close(ours)
    process.wait()
    return seen.decode()


def said_in_a_pipe(*arguments: str, **more: str) -> bytes:
    """Run the command line with a pipe for its errors, and give what comes there."""
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(command, capture_output=True, check=True, env=environment(**more), cwd=ROOT).stderr


def test_an_import_shows_on_a_terminal_how_far_it_is(sqlite_url: str, file: Path) -> None:
    seen = seen_on_a_terminal("import", str(file), "--database-url", sqlite_url)

    assert "Reading" in seen
    assert "Adding messages" in seen


def test_an_import_prints_a_summary_on_a_terminal(sqlite_url: str, file: Path) -> None:
    with file.open("ab") as more:
        more.write(b"no\n")

    seen = seen_on_a_terminal("import", str(file), "--database-url", sqlite_url)

    assert f"{file}: line 4: Invalid JSON" in seen
    assert "Threads: 1, messages: 2, already present: 0, rejected: 1." in seen


def test_an_export_shows_on_a_terminal_how_far_it_is(sqlite_url: str, file: Path) -> None:
    said_in_a_pipe("import", str(file), "--database-url", sqlite_url)

    assert "Messages" in seen_on_a_terminal("export", "--database-url", sqlite_url)


@pytest.mark.parametrize("more", [{}, {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}], ids=str)
def test_a_successful_import_into_a_pipe_prints_only_its_summary(
    sqlite_url: str, file: Path, more: dict[str, str]
) -> None:
    said = said_in_a_pipe("import", str(file), "--database-url", sqlite_url, **more)
    said += said_in_a_pipe("export", "--database-url", sqlite_url, **more)

    assert said == b"Threads: 1, messages: 2, already present: 0, rejected: 0.\n"


def test_a_terminal_shows_a_progress_bar_with_its_task(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_is_watched", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")  # what is captured is no terminal
    monkeypatch.setenv("TERM", "xterm-256color")

    with progress.shown("Importing", total=3) as advance:
        for _ in range(3):
            advance(1)

    assert "Importing" in capsys.readouterr().err
