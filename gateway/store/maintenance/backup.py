"""Backups of a SQLite database while it is served, by SQLite's own online backup, and their restoration.

The source is only read, in one transaction: the copy is a snapshot, commits continue meanwhile, and there is no second
writer. SQLite cannot truncate its log until the copy is done.
Must not be here: PostgreSQL, which has its own tools.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.errors import BackupFailed, DatabaseDamaged, RestoreFailed
from gateway.store.engines.errors import is_busy
from gateway.store.engines.sqlite import refuse_old_version
from gateway.store.files.database_files import BESIDE, beside, require_own_log, sqlite_file
from gateway.store.files.private_files import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGES: Final = 1024  # at a time; Ctrl-C is handled in between
_TABLES: Final = {"alembic_version", "threads", "messages", "keys"}


def back_up(url: str, target: Path) -> int:
    """Copy the database of a URL into a new file, check it, and return its size in bytes.

    The file gets its name when it is complete and on disk.
    Errors: InvalidSetting; DatabaseDamaged; BackupFailed; OSError where the file cannot be written.
    """
    source = sqlite_file(url)
    _refuse_to_overwrite(target)
    if not source.exists():
        raise BackupFailed(f"There is no database '{source}'.")
    require_own_log(source)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix=".partial")
    os.close(descriptor)
    partial = Path(name)
    try:
        _copy(source, partial)
        _refuse_to_overwrite(target)
        return _put(partial, target)
    except sqlite3.Error as error:
        raise BackupFailed(f"No backup was made: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def restored_copy(source: Path, target: Path) -> Iterator[Path]:
    """Copy a backup beside its target database, and check it; without `replace` it is removed at the end.

    Errors: RestoreFailed where it is damaged, or not of this program; InvalidSetting; DatabaseDamaged; OSError.
    """
    if not source.exists():
        raise RestoreFailed(f"There is no backup '{source}'.")
    if target.exists() and source.samefile(target):
        raise RestoreFailed(f"'{source}' is the database itself. Name a backup of it.")
    require_own_log(source)
    partial = beside(target, ".restoring")
    _remove(partial)  # of one that was killed
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _copy(source, partial)
        _require_ours(source, partial)
        yield partial
    except sqlite3.Error as error:
        raise RestoreFailed(f"Nothing was restored: {error}") from error
    finally:
        _remove(partial)


def replace(target: Path, copy: Path) -> int:
    """Put a restored copy in the place of a database, in one step, and return its size in bytes.

    If this program is interrupted, there is still one whole database: the log of the old one is written into its file
    before that is replaced. Only a database that SQLite cannot open still has a log then, which is removed after it.
    Errors: RestoreFailed where another program has the database open; OSError.
    """
    with closing(sqlite3.connect(copy, isolation_level=None)) as opened:
        _seal(opened)
    if target.exists():
        _settle(target)
        with suppress(PermissionError):  # root restores what belongs to the server's user
            os.chown(copy, target.stat().st_uid, target.stat().st_gid)
    size = _put(copy, target)
    for ending in BESIDE:
        beside(target, ending).unlink(missing_ok=True)
    return size


def _refuse_to_overwrite(target: Path) -> None:
    if target.exists():
        raise BackupFailed(f"'{target}' already exists. Name a file that does not exist.")


def _copy(source: Path, copy: Path) -> None:
    with closing(_read(source)) as read, closing(sqlite3.connect(copy, isolation_level=None)) as written:
        read.backup(written, pages=_PAGES)
        _seal(written)


def _read(source: Path) -> sqlite3.Connection:
    """Open a database read-only, with its snapshot of now.

    Errors: InvalidSetting where this Python's SQLite is too old, which would take the database for a damaged one.
    """
    refuse_old_version()
    connection = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _seal(copy: sqlite3.Connection) -> None:
    """Make a copy a single file, which can be opened anywhere, and check it; a server enables the log again.

    So its header says that it has no log (`database_files.require_own_log`).
    """
    copy.execute("PRAGMA journal_mode = DELETE")
    found = [row[0] for row in copy.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        raise sqlite3.DatabaseError(f"the database is damaged: {found[0]}")


def _require_ours(source: Path, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as opened:
        tables = {row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables >= _TABLES:
        raise RestoreFailed(f"'{source}' is not a backup of this program's database.")


def _settle(target: Path) -> None:
    """Have SQLite write the log of a database into its file and remove it; one that it cannot open is left as it is."""
    try:
        require_own_log(target)
        with closing(sqlite3.connect(target, timeout=0)) as opened:
            opened.execute("PRAGMA journal_mode = DELETE")
    except DatabaseDamaged:
        pass
    except sqlite3.Error as error:
        if is_busy(error):
            raise RestoreFailed(f"Another program has '{target}' open. Stop that first.") from error


def _put(partial: Path, target: Path) -> int:
    """Give a complete file its name once it is on disk, and return its size."""
    with partial.open("rb") as opened:
        os.fsync(opened.fileno())
        size = os.fstat(opened.fileno()).st_size
    partial.rename(target)
    sync_folder(target.parent)
    return size


def _remove(file: Path) -> None:
    for ending in ("", *BESIDE):
        beside(file, ending).unlink(missing_ok=True)
