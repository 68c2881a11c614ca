"""README.md's first command in a clean clone, with a real pip; `.ci/run` installs one for each run of CI."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.docs.blocks import blocks_of
from tests.live.server import ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

_GRAPHIQL: Final = "gateway/graphql/graphiql/built"


@pytest.mark.slow
def test_the_first_command_serves_in_a_clean_clone(tmp_path: Path) -> None:
    command = blocks_of("README.md")[0].text
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), clone], check=True)  # noqa: S607
    # The installation of this checkout has built GraphiQL already. pip takes that for the clone's only if it carries
    # the digest of the clone's own sources, and otherwise builds it; what npm fetches is no part of the claim.
    if (ROOT / _GRAPHIQL).is_dir():
        shutil.copytree(ROOT / _GRAPHIQL, clone / _GRAPHIQL)

    process = subprocess.Popen(
        ["bash", "-c", command],  # noqa: S607
        cwd=clone,
        # The fourth is pip's way to say --no-compile: what is imported is compiled then, the rest is most of it.
        env={**environment(), "PYTHONPATH": "", "GATEWAY_PORT": "0", "PIP_NO_COMPILE": "0"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr
        banner = next(line for line in process.stderr if "base_url" in line)
        [base_url] = re.findall(r"base_url=(\S+)/v1", banner)
        made = httpx.post(f"{base_url}/v1/threads")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()

    assert made.status_code == httpx.codes.OK
