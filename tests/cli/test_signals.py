"""A command that a signal ends removes its temporary files, and its exit code says which signal it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.exports import ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def begin_import(folder: Path, ignored: str) -> subprocess.Popen[str]:
    """Begin an import that has rejected a line, and waits for standard input; it ignores a signal at its start."""
    (folder / "temporary").mkdir()
    (folder / "no.jsonl").write_text("no\n")
    program = (
        f"import signal; signal.signal(signal.{ignored}, signal.SIG_IGN); from gateway.cli.commands import main; main()"
    )
    begun = subprocess.Popen(
        [sys.executable, "-c", program, "import", str(folder / "no.jsonl"), "-"],
        cwd=ROOT,
        env=environment() | {"TMPDIR": str(folder / "temporary"), "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/a.db"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert begun.stderr is not None
    while "no.jsonl" not in begun.stderr.readline():
        assert begun.poll() is None
    return begun


@pytest.mark.parametrize("ignored", ["SIGWINCH", "SIGINT"], ids=["", "where Ctrl-C is ignored"])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
def test_a_command_that_a_signal_ends_removes_what_is_temporary(
    tmp_path: Path, number: signal.Signals, ignored: str
) -> None:
    if number.name == ignored:
        pytest.skip("it is ignored")
    with begin_import(tmp_path, ignored) as begun:
        assert list((tmp_path / "temporary").iterdir())
        begun.send_signal(number)
        _, told = begun.communicate()

    assert told == f"Ended by {number.name}.\n"
    assert begun.returncode == 128 + number
    assert list((tmp_path / "temporary").iterdir()) == []


def test_nohup_keeps_a_command_from_being_ended(tmp_path: Path) -> None:
    with begin_import(tmp_path, "SIGHUP") as begun:
        begun.send_signal(signal.SIGHUP)
        begun.communicate("")

    assert begun.returncode == 1  # a line was rejected
