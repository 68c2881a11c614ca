"""Files with message content: readable and writable by their owner only (mode 0600), whatever the umask is.

Must not be here: what is written into them.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event

from gateway.store.engines.database_files import BESIDE, beside, file_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from sqlalchemy.ext.asyncio import AsyncEngine

log: Final = logging.getLogger(__name__)

_PRIVATE: Final = 0o600
_OTHERS: Final = 0o077  # all bits of the group and of others


def open_private(target: Path, *, truncate: bool = True) -> BinaryIO:
    """Open a file for writing from its beginning; an existing one is truncated unless the caller does that.

    Errors: OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if truncate else 0)
    opened = os.fdopen(os.open(target, flags, _PRIVATE), "wb")
    tighten(target)
    return opened


def tighten(file: Path) -> None:
    """Remove the permissions that others have on a regular file of ours, and log that; none are ever added.

    A file of another owner, or on a file system without modes, stays as it is, which is logged too.
    """
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode) or not found.st_mode & _OTHERS:
            return
        if found.st_uid == os.geteuid():
            file.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
        is_private = not file.stat().st_mode & _OTHERS
    except FileNotFoundError:
        return
    except PermissionError:
        is_private = False
    outcome = "now only its owner can read it" if is_private else "that cannot be changed: it belongs to another user"
    log.warning("other users of this machine could open %s (mode %04o); %s", file, found.st_mode & 0o7777, outcome)


def keep_database_private(engine: AsyncEngine, *, is_writer: bool) -> None:
    """Make the file of a SQLite database private before it is opened; the writer also tightens an existing one.

    It runs after all other listeners of a connect, which fail where the file is no database: so a mistyped URL does not
    change another file. An existing file is never opened here: closing it would drop the locks that this process has on
    it.
    """

    @event.listens_for(engine.sync_engine, "do_connect")
    def make(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
        file, is_made = file_of(arguments[0], is_uri=bool(options.get("uri")))
        if is_made:
            with suppress(OSError):  # it exists, or cannot be created, which SQLite reports
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE))

    if not is_writer:
        return
    (database,), given = engine.dialect.create_connect_args(engine.url)
    file, _ = file_of(database, is_uri=bool(given.get("uri")))

    @event.listens_for(engine.sync_engine, "connect")
    def tighten_all(_connection: object, _record: object) -> None:
        for ending in ("", *BESIDE):  # SQLite creates the others with the mode of the first
            tighten(beside(file, ending))
