"""The unit for systemd, read by systemd itself."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from gateway.settings.table import SETTINGS
from tests.lacking import program
from tests.live.server import ROOT

if TYPE_CHECKING:
    from pathlib import Path

UNIT: Final = ROOT / "deploy" / "gateway.service"
INSTALLED: Final = "/opt/gateway/bin/gateway"
EXPOSURE: Final = 15  # tenths; 1.3 as it stands, of 9.6 for a unit that says nothing


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program("systemd-analyze"), *arguments], capture_output=True, text=True, check=False)


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(INSTALLED, sys.executable))

    ran = analyze("verify", "--man=no", unit)

    assert UNIT.name not in ran.stderr  # it also reports what is wrong with the machine's own units


def test_the_server_is_shut_in() -> None:
    ran = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", UNIT)

    assert ran.returncode == 0, ran.stdout


def test_the_server_has_the_time_to_finish() -> None:
    [time_s] = [int(line.partition("=")[2]) for line in UNIT.read_text().splitlines() if "TimeoutStopSec" in line]

    assert time_s > SETTINGS["shutdown_s"].default


def test_a_migration_may_take_any_time() -> None:
    assert "TimeoutStartSec=infinity" in UNIT.read_text().splitlines()  # the default is 90 seconds
