"""The tests that openai-python has for assistants, runs and steps, unchanged, against a real server and a fake model.

They were written against a stub, so a proxy makes what they name. They stand in the SDK's source alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.clients.seeding_proxy import SeedingProxy, model
from tests.live.server import serving
from tests.runs.fake_model import fake_model, served

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.uncounted]

FILES: Final = ("test_assistants.py", "test_threads.py", "threads/test_runs.py", "threads/runs/test_steps.py")


@pytest.mark.timeout(500)
def test_the_tests_of_the_sdk_pass(sdk_source: Path, tmp_path: Path) -> None:
    with fake_model() as fake:
        fake.otherwise = model
        given = {"GATEWAY_MODEL_URL": fake.url, "GATEWAY_MODEL": "any"}
        with serving(None, folder=tmp_path, given=given) as server, served(SeedingProxy(server.base_url)) as address:
            ran = subprocess.run(
                # Its third transport, aiohttp, needs an adapter of its own; what is sent is the same.
                [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", "not aiohttp", *FILES],
                cwd=sdk_source / "tests" / "api_resources" / "beta",
                env={**os.environ, "TEST_API_BASE_URL": address},
                capture_output=True,
                text=True,
                check=False,
            )

    assert ran.returncode == 0, ran.stdout
