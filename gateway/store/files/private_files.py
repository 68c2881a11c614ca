"""Files with message content: readable and writable by their owner only (mode 0600), whatever the umask is.

Must not be here: what is written into them.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event

from gateway.store.files.database_files import BESIDE, beside, file_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from sqlalchemy.ext.asyncio import AsyncEngine

log: Final = logging.getLogger(__name__)

_PRIVATE: Final = 0o600
_OTHERS: Final = 0o077  # all bits of the group and of others


def open_private(target: Path) -> BinaryIO:
    """Open a file for writing from its beginning; an existing one keeps its content until the caller truncates it.

    Errors: OSError.
    """
    opened = os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _PRIVATE), "wb")
    tighten(target)
    return opened


@contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """Write a file for the duration of the block; it gets its name, which another one may have, when it is complete.

    What is no regular file, such as a pipe, is written directly.
    Errors: OSError.
    """
    file = target.resolve()
    if file.exists() and not file.is_file():
        with open_private(file) as out:
            yield out
        return
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.", suffix=".partial")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            out.flush()
            os.fsync(descriptor)
        partial.replace(file)
        sync_folder(file.parent)
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Wait until the names of the files of a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
