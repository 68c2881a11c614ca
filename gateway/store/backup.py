"""A copy of a SQLite database while it is served, by SQLite's own online backup.

The source is only read, in one transaction: the copy is the database of one moment, commits go on beside it, and there
is no second writer. SQLite may then not shorten its log until the copy is done.
Must not be here: PostgreSQL, which has tools of its own.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from gateway.errors import BackupFailed, InvalidSetting

_PAGES: Final = 1024  # at a time, and Ctrl-C is heard between two


def back_up(url: str, target: Path) -> int:
    """Copy the database of a URL into a file that is not there yet, check it, and give its size in bytes.

    The file appears under its name when it is whole and on disk.
    Errors: InvalidSetting; BackupFailed; OSError where the file cannot be written.
    """
    source = sqlite_file(url)
    _refuse_to_write_over(target)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix=".partial")
    partial = Path(name)
    try:
        with closing(_read(source)) as read, closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            read.backup(copy, pages=_PAGES)
            _check(copy)
        os.fsync(descriptor)
        size = partial.stat().st_size
        _refuse_to_write_over(target)
        partial.rename(target)
        _sync_folder(target.parent)
    except sqlite3.Error as error:
        raise BackupFailed(f"No backup was made: {error}") from error
    finally:
        os.close(descriptor)
        partial.unlink(missing_ok=True)
    return size


def sqlite_file(url: str) -> Path:
    """Name the file of a SQLite database.

    Errors: InvalidSetting for another database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise InvalidSetting(
            "GATEWAY_DATABASE_URL: this command copies SQLite databases. For PostgreSQL run: pg_dump --format=custom"
        )
    return Path(parsed.database or "")


def _refuse_to_write_over(target: Path) -> None:
    if target.exists():
        raise BackupFailed(f"'{target}' is there already. Name a file that is not.")


def _read(source: Path) -> sqlite3.Connection:
    """Open a database for reading alone, at the moment that it has now."""
    if not source.exists():
        raise BackupFailed(f"There is no database '{source}'.")
    connection = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _check(copy: sqlite3.Connection) -> None:
    # One file, which can be opened anywhere; a server that it is restored to takes up the log again.
    copy.execute("PRAGMA journal_mode = DELETE")
    found = [row[0] for row in copy.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        raise BackupFailed(f"No backup was made, since the database is damaged: {found[0]}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
