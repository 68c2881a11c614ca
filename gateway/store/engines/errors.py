"""Which errors of drivers are transient, and their translation to the gateway's errors.

Must not be here: how an error is answered (the faces).
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gateway.errors import Unavailable

# Connection failure; transaction rollback (deadlock); insufficient resources; operator intervention (shutdown, start).
# Source: PostgreSQL, "PostgreSQL Error Codes", by class.
_TRANSIENT_STATES: Final = ("08", "40", "53", "57P")
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
    }
)
# Each driver, and SQLAlchemy, has a class of the first name for a connection that is closed; asyncpg raises the second
# one on a connection over which a server that was killed has said its last.
_CLOSED: Final = frozenset({"InterfaceError", "InternalClientError"})
_UNAVAILABLE: Final = "The database cannot answer now. Please send the request again."


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
    state = getattr(original, "sqlstate", None) or ""
    return type(error).__name__ in _CLOSED or state.startswith(_TRANSIENT_STATES)


def is_usable_after(error: BaseException) -> bool:
    """Say whether a connection is usable after an error: not if it broke, or still runs a statement."""
    return isinstance(error, Exception) and not is_transient(error)


def translate(error: BaseException) -> BaseException:
    """Return Unavailable for a transient error; any other error is a bug of ours and returned as it is."""
    return Unavailable(_UNAVAILABLE) if is_transient(error) else error
