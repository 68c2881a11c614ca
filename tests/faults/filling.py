"""Filling a disk."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_PAGE: Final = 4_096


def fill(file: Path) -> None:
    """Write to a file until its disk is full."""
    with file.open("wb", buffering=0) as opened:
        while True:
            try:
                opened.write(bytes(_PAGE))
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017  (this is where it has to come to)
                return
