"""Which errors of drivers are transient, and their translation to the gateway's errors.

Must not be here: how an error is answered (the faces).
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gateway.errors import Unavailable

# Connection failure; transaction rollback (deadlock); insufficient resources; operator intervention (shutdown, start);
# what a server does not do now: a standby, or one with other tables than when the statement was prepared; and below.
# Source: PostgreSQL, "PostgreSQL Error Codes", by class.
_TRANSIENT_STATES: Final = ("08", "40", "53", "57P", "0A000", "25006", "25P03", "25P04", "55P03", "57014")
_LOCKED: Final = "55P03"
_SLOW: Final = "57014"
_USABLE: Final = frozenset({_LOCKED, _SLOW})  # the statement ended, the connection did not
_AGAIN: Final = "Please send the request again."
_ENDED: Final = f"The transaction waited too long within this server, and the database ended it. {_AGAIN}"
_REASONS: Final = {
    "25006": f"The database server accepts no writes now: it is read-only or a standby. {_AGAIN}",
    "25P03": _ENDED,
    "25P04": _ENDED,
    _LOCKED: f"The thread is locked by another transaction, which did not end in time. {_AGAIN}",
    _SLOW: f"The database took too long, and the statement was cancelled. {_AGAIN}",
}
# Source: SQLite, "Result and Error Codes", the primary ones.
_TRANSIENT_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
# Each driver, and SQLAlchemy, has a class of the first name for a connection that is closed; asyncpg raises the second
# one on a connection over which a server that was killed has said its last.
_CLOSED: Final = frozenset({"InterfaceError", "InternalClientError"})
_UNAVAILABLE: Final = f"The database cannot answer now. {_AGAIN}"


def is_transient(error: BaseException) -> bool:
    """Say whether the same statement may succeed later; an error in the statement itself is permanent.

    The error is SQLAlchemy's, or the driver's own where a statement was run by it directly.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _TRANSIENT_CODES
    if isinstance(error, OSError | PoolTimeoutError) or getattr(error, "connection_invalidated", False):
        return True
    return type(error).__name__ in _CLOSED or _state(error).startswith(_TRANSIENT_STATES)


def is_usable_after(error: BaseException) -> bool:
    """Say whether a connection is usable after an error: not if it broke, or still runs a statement."""
    return isinstance(error, Exception) and (not is_transient(error) or _state(error) in _USABLE)


def translate(error: BaseException) -> BaseException:
    """Return Unavailable for a transient error; any other error is a bug of ours and returned as it is."""
    return Unavailable(_REASONS.get(_state(error), _UNAVAILABLE)) if is_transient(error) else error


def is_locked(error: Unavailable) -> bool:
    """Say whether the database was unavailable because a row stayed locked."""
    return error.__cause__ is not None and _state(error.__cause__) == _LOCKED


def _state(error: BaseException) -> str:
    """Return the SQLSTATE of an error, if it has one."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return getattr(original, "sqlstate", None) or ""
