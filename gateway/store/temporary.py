"""Folders of temporary databases, and what an operator reads where those cannot be written.

Must not be here: what the databases contain (`staging`, `salvage`).
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gateway.errors import TemporaryFailed
from gateway.store.engines.errors import is_transient

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Make a folder for the duration of the block, in which only the temporary database is used without a store.

    Errors: TemporaryFailed where that database fails, as on a full disk; OSError where there is no such folder.
    """
    with TemporaryDirectory(prefix=f"gateway-{purpose}-") as name:
        folder = Path(name)
        try:
            yield folder
        except sqlite3.Error as error:
            if not is_transient(error):
                raise
            raise TemporaryFailed(
                f"The temporary database in '{folder.parent}' cannot be written: {error}. It needs about as much space "
                "as what is read. Free it, or name another folder in the variable TMPDIR."
            ) from error
