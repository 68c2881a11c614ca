"""A backup of a SQLite database while it is served, by SQLite's own online backup.

The source is only read, in one transaction: the copy is a snapshot, commits continue meanwhile, and there is no second
writer. SQLite cannot truncate its log until the copy is done.
Must not be here: PostgreSQL, which has its own tools.
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
from gateway.settings.database_url import is_sqlite

_PAGES: Final = 1024  # at a time; Ctrl-C is handled in between


def back_up(url: str, target: Path) -> int:
    """Copy the database of a URL into a new file, check it, and return its size in bytes.

    The file gets its name when it is complete and on disk.
    Errors: InvalidSetting; BackupFailed; OSError where the file cannot be written.
    """
    source = sqlite_file(url)
    _refuse_to_overwrite(target)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix=".partial")
    partial = Path(name)
    try:
        with closing(_read(source)) as read, closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            read.backup(copy, pages=_PAGES)
            _check(copy)
        os.fsync(descriptor)
        size = partial.stat().st_size
        _refuse_to_overwrite(target)
        partial.rename(target)
        _sync_folder(target.parent)
    except sqlite3.Error as error:
        raise BackupFailed(f"No backup was made: {error}") from error
    finally:
        os.close(descriptor)
        partial.unlink(missing_ok=True)
    return size


def sqlite_file(url: str) -> Path:
    """Return the file of a SQLite database.

    Errors: InvalidSetting for another database.
    """
    if not is_sqlite(url):
        raise InvalidSetting(
            "GATEWAY_DATABASE_URL: this command copies SQLite databases. For PostgreSQL run: pg_dump --format=custom"
        )
    return Path(make_url(url).database or "")


def _refuse_to_overwrite(target: Path) -> None:
    if target.exists():
        raise BackupFailed(f"'{target}' already exists. Name a file that does not exist.")


def _read(source: Path) -> sqlite3.Connection:
    """Open a database read-only, with its snapshot of now."""
    if not source.exists():
        raise BackupFailed(f"There is no database '{source}'.")
    connection = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _check(copy: sqlite3.Connection) -> None:
    # One file, which can be opened anywhere; a server that opens a restored one enables the log again.
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
