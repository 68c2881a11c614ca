"""Programs that pip cannot bring."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Fail in CI, where everything must be installed, and skip elsewhere."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def program(name: str) -> str:
    """Find a program of the machine, also where only root has its folder in the path."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return shutil.which(name, path=path) or lacking(f"there is no {name} on this machine")
