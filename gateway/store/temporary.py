"""Folders of temporary databases: what an operator reads where they are full, and what killed commands have left.

Must not be here: what the databases contain (`staging`, `salvage`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from gateway.errors import TemporaryFailed
from gateway.store.engines.errors import is_transient

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNLOCKED_S: Final = 60  # a folder is locked a moment after it is made


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Make a folder for the duration of the block, in which only the temporary database is used without a store.

    Those of killed commands are removed before, since each is about as large as what was read.
    Errors: TemporaryFailed where that database fails, as on a full disk; OSError where there is no such folder.
    """
    prefix = f"gateway-{purpose}-"
    with TemporaryDirectory(prefix=prefix) as name, _opened(folder := Path(name)) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _remove_abandoned(folder.parent, prefix)
        try:
            yield folder
        except sqlite3.Error as error:
            if not is_transient(error):
                raise
            raise TemporaryFailed(
                f"The temporary database in '{folder.parent}' cannot be written: {error}. It needs about as much space "
                "as what is read. Free it, or name another folder in the variable TMPDIR."
            ) from error


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for each in parent.glob(f"{prefix}*"):
        with suppress(OSError), _opened(each) as descriptor:  # locked, or another user's
            found = os.fstat(descriptor)
            if found.st_uid == os.geteuid() and found.st_mtime < time.time() - _UNLOCKED_S:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(each)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
