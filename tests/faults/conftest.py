"""A disk that can be filled."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Have a disk of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)):
        pytest.skip("only root can make a small disk")
    yield folder
    run("umount", "--lazy", str(folder))


def run(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode
