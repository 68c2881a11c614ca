"""The command `restore`: put a backup in the place of a SQLite database, migrate it and begin a new epoch.

Must not be here: flags (`commands`), how files are copied and replaced (`maintenance.backup`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.cli.open_store import run_with_store
from gateway.core import epochs
from gateway.errors import DatabaseBehind, RestoreFailed
from gateway.store.files.database_files import sqlite_file, url_of
from gateway.store.files.server_lock import lock_database
from gateway.store.maintenance.backup import replace, restored_copy

if TYPE_CHECKING:
    from pathlib import Path


class Restored(NamedTuple):
    """The restored database: the size of its file in bytes, and its epoch."""

    size: int
    epoch: str


def run_restore(database_url: str, source: Path) -> Restored:
    """Restore a backup; the copy is migrated before it replaces the database, so it is complete then.

    Errors: InvalidSetting; DatabaseInUse; RestoreFailed; DatabaseDamaged; OSError.
    """
    target = sqlite_file(database_url, "pg_restore, then: gateway epoch renew")
    with lock_database(database_url, "being restored"), restored_copy(source, target) as copy:
        try:
            epoch = run_with_store(url_of(copy), epochs.renew)
        except DatabaseBehind as error:
            raise RestoreFailed(f"'{source}' was not restored: {error.message}") from error
        return Restored(replace(target, copy), epoch)
