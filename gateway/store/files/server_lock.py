"""One server for each SQLite database: a lock on a file beside it, for as long as the server's first process runs.

The database itself cannot be locked like this: opening it a second time and closing it drops SQLite's locks. The system
drops this lock with the process that holds it, whatever ends the process. Commands do not take it.
Must not be here: what is done under the lock (`server.serve`, `cli.restore`).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from gateway.errors import DatabaseInUse, InvalidSetting
from gateway.settings.database_url import is_sqlite
from gateway.store.files.database_files import beside, sqlite_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK: Final = ".lock"
_POLL_S: Final = 0.05
_UNKNOWN_S: Final = 1.0  # a holder notes itself at once
_NOTE: Final = 1_024


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lock, as noted in its file: what it does, and if it stops, how long that may take."""

    pid: int
    doing: str = "served"
    stops_within_s: float | None = None

    def __str__(self) -> str:
        return f"already {self.doing} by pid {self.pid}"


class ServerLock:
    """The lock of one database, which is held until it is released; PostgreSQL has none."""

    def __init__(self, lock: Path | None = None, descriptor: int = -1, doing: str = "") -> None:
        self._lock = lock
        self._descriptor = descriptor
        self._doing = doing

    def note(self, stops_within_s: float | None = None) -> None:
        """Note the holder of the lock, and how long it takes to stop once it does."""
        if self._lock is not None:
            _write(self._descriptor, Holder(os.getpid(), self._doing, stops_within_s))

    def release(self) -> None:
        """Release the lock and remove its file, if that was not done yet."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._lock.unlink()
        os.close(self._descriptor)
        self._lock = None


@contextmanager
def lock_database(url: str, doing: str = "served") -> Iterator[ServerLock]:
    """Hold the lock of a SQLite database during the block, unless it is released there.

    If another process holds it, this fails at once; only while that one stops, it waits, up to the time in the file.
    PostgreSQL may have any number of servers.
    Errors: DatabaseInUse; InvalidSetting where no file can be created beside the database.
    """
    if not is_sqlite(url):
        yield ServerLock()
        return
    file = sqlite_file(url)
    path = beside(file, _LOCK)
    try:
        lock = ServerLock(path, _acquire(file, path), doing)
    except OSError as error:
        reason = f"unable to open database file, since '{path}' cannot be created: {error.strerror}"
        raise InvalidSetting(f"GATEWAY_DATABASE_URL: the database cannot be opened: {reason}") from error
    try:
        lock.note()
        yield lock
    finally:
        lock.release()


def holder_of(file: Path) -> Holder | None:
    """Return the holder of the lock of a database, without waiting or creating anything.

    Errors: OSError.
    """
    lock = beside(file, _LOCK)
    if not lock.exists():
        return None
    descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _noted(lock)
    finally:
        os.close(descriptor)
    return None


def _acquire(file: Path, lock: Path) -> int:
    """Wait while the holder stops; return the descriptor that has the lock.

    The second attempt decides: at the first, a process may just be checking the lock, or may not have noted itself yet.
    """
    began = time.monotonic()
    if (descriptor := _try(lock)) is not None:
        return descriptor
    time.sleep(_POLL_S)
    while (descriptor := _try(lock)) is None:
        holder = _noted(lock)
        waits_s = _UNKNOWN_S if holder is None else holder.stops_within_s or 0.0
        if time.monotonic() - began > waits_s:
            who = holder or "used by another process"
            raise DatabaseInUse(f"'{file}' is {who}. Stop that first; several servers need PostgreSQL.")
        time.sleep(_POLL_S)
    return descriptor


def _try(lock: Path) -> int | None:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The last holder removes the file before it releases the lock on it.
        if os.path.samestat(os.fstat(descriptor), lock.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _write(descriptor: int, holder: Holder) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)


def _noted(lock: Path) -> Holder | None:
    """Read the holder of the lock; None while it is written, or the file is gone."""
    try:
        return Holder(**json.loads(lock.read_bytes()[:_NOTE]))
    except (FileNotFoundError, ValueError, TypeError):
        return None
