"""The Python SDK, unchanged but for its address, in the newest version and in the one that old programs have.

The claims are the checks in `tests/clients/sdk_checks.py`; a failure here shows which of them did not hold, by which
client.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import openai
import pytest

from tests.clients.python_sdk import CLIENTS, summary
from tests.clients.sdk_checks import CHECKS
from tests.live.conftest import OLD_SDK
from tests.live.server import ROOT
from tests.pace import patience

if TYPE_CHECKING:
    from pathlib import Path

    from tests.live.server import Server

ALL_WELL = {client: dict.fromkeys(CHECKS, "ok") for client in CLIENTS}


@pytest.mark.uncounted
def test_the_newest_sdk_finds_all_that_it_expects(live_server: Server) -> None:
    assert summary(live_server.base_url) == {"sdk": openai.__version__, "outcomes": ALL_WELL}


@pytest.mark.parametrize("live_server", ["sqlite"], indirect=True)  # the newest one is tried on both databases
def test_an_old_sdk_can_parse_every_response(live_server: Server, old_sdk: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.clients.python_sdk", live_server.base_url],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(old_sdk)},
        capture_output=True,
        text=True,
        timeout=patience(100),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"sdk": OLD_SDK, "outcomes": ALL_WELL}
