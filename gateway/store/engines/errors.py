"""Classification of drivers' errors as transient, or as faults of the server or disk, and their translation to ours.

Must not be here: how an error is answered (the faces).
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gateway.domain.idempotency import KeyTaken
from gateway.errors import SEND_AGAIN, IdempotencyKeyInUse, Unavailable

_FORBIDDEN: Final = "42501"  # insufficient_privilege
# Connection failure; transaction rollback (deadlock); insufficient resources; operator intervention (shutdown, start);
# what a server does not do now: a standby, or one with other tables than when the statement was prepared; what its
# operator has to allow; and below.
# Source: PostgreSQL, "PostgreSQL Error Codes", by class.
_TRANSIENT_STATES: Final = ("08", "40", "53", "57P", "0A000", "25006", "25P03", "25P04", _FORBIDDEN, "55P03", "57014")
_LOCKED: Final = "55P03"
_TAKEN: Final = "23505"  # unique_violation
_SLOW: Final = "57014"
_FULL: Final = "53300"  # too_many_connections, of the server, a database or a role
_USABLE: Final = frozenset({_FORBIDDEN, _LOCKED, _SLOW})  # the statement was refused or ended, the connection was not
# Only this statement failed; the next one may succeed.
_OF_STATEMENT: Final = ("40", "25P03", "25P04", _LOCKED, _SLOW)
_ENDED: Final = f"The transaction waited too long within this server, and the database ended it. {SEND_AGAIN}"
_REASONS: Final = {
    "25006": f"The database server accepts no writes now: it is read-only or a standby. {SEND_AGAIN}",
    "25P03": _ENDED,
    "25P04": _ENDED,
    "53100": f"The disk of the database server is full. {SEND_AGAIN}",
    _FORBIDDEN: "The database forbids this to the server's user: its operator has to grant a privilege.",
    _FULL: f"The database server has no connection left. {SEND_AGAIN}",
    _LOCKED: f"The thread is locked by another transaction, which did not end in time. {SEND_AGAIN}",
    _SLOW: f"The database took too long, and the statement was cancelled. {SEND_AGAIN}",
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
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)
_BUSY_CODES: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = "The database file is damaged: its operator has to restore or repair it."
_SQLITE_REASONS: Final = {
    sqlite3.SQLITE_FULL: f"The disk of the database is full. {SEND_AGAIN}",
    sqlite3.SQLITE_READONLY: f"The database file accepts no writes now: it, or its disk, is read-only. {SEND_AGAIN}",
    sqlite3.SQLITE_IOERR: f"The disk of the database fails. {SEND_AGAIN}",
    sqlite3.SQLITE_CANTOPEN: f"The database file cannot be opened. {SEND_AGAIN}",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
# Each driver, and SQLAlchemy, has a class of the first name for a connection that is closed; asyncpg raises the second
# one on a connection over which a server that was killed has said its last.
_CLOSED: Final = frozenset({"InterfaceError", "InternalClientError"})
_UNAVAILABLE: Final = f"The database cannot answer now. {SEND_AGAIN}"


def is_transient(error: BaseException) -> bool:
    """Say whether the same statement may succeed later; an error in the statement itself is permanent.

    The error is SQLAlchemy's, or the driver's own where a statement was run by it directly.
    """
    code = _code(error)
    if code is not None:
        return code in _TRANSIENT_CODES
    if isinstance(error, OSError | PoolTimeoutError) or getattr(error, "connection_invalidated", False):
        return True
    return type(error).__name__ in _CLOSED or _state(error).startswith(_TRANSIENT_STATES)


def is_usable_after(error: BaseException) -> bool:
    """Say whether a connection is usable after an error: not if it broke, or still runs a statement."""
    return isinstance(error, Exception) and (not is_transient(error) or _state(error) in _USABLE)


def is_refused(error: BaseException) -> bool:
    """Say whether the database server refused a connection because it has none left."""
    return _state(error) == _FULL


def translate(error: BaseException) -> BaseException:
    """Return Unavailable for a transient error, or the error for a taken idempotency key; else the error as it is.

    Any other error is a bug of ours.
    """
    if _is_of_key_index(error):
        return IdempotencyKeyInUse() if _state(error) == _LOCKED else KeyTaken()
    if not is_transient(error):
        return error
    return Unavailable(_REASONS.get(_state(error)) or _SQLITE_REASONS.get(_code(error) or 0) or _UNAVAILABLE)


def fault_of(error: BaseException) -> str | None:
    """Name a fault that keeps the database from serving any client; None where only this statement has failed."""
    if not is_transient(error) or isinstance(error, TimeoutError | PoolTimeoutError):
        return None
    original, state = original_of(error), _state(error)
    if is_busy(error) or state.startswith(_OF_STATEMENT):
        return None
    return state or getattr(original, "sqlite_errorname", None) or type(original).__name__


def is_forbidden(error: BaseException) -> bool:
    """Say whether PostgreSQL's user lacks a privilege."""
    return _state(error) == _FORBIDDEN


def is_busy(error: BaseException) -> bool:
    """Say whether SQLite waited in vain for another connection."""
    return _code(error) in _BUSY_CODES


def is_taken(error: BaseException) -> bool:
    """Say whether PostgreSQL refused a row whose key exists."""
    return _state(error) == _TAKEN


def is_locked(error: Unavailable) -> bool:
    """Say whether the database was unavailable because a row stayed locked."""
    return error.__cause__ is not None and _state(error.__cause__) == _LOCKED


def is_cut(error: Unavailable) -> bool:
    """Say whether the connection broke after a statement was sent: it is unknown then whether the statement ran."""
    cause = error.__cause__
    if cause is None or isinstance(cause, TimeoutError):
        return False
    return isinstance(cause, OSError) or type(cause).__name__ in _CLOSED or _state(cause).startswith(("08", "57P"))


def original_of(error: BaseException) -> BaseException:
    """Return the driver's own error, where it is in one of SQLAlchemy's."""
    return (error.orig or error) if isinstance(error, DBAPIError) else error


def _is_of_key_index(error: BaseException) -> bool:
    """Say whether an insert met the unique index of idempotency keys, or waited there for another one in vain.

    PostgreSQL names the index, of a wait in the context ("while inserting index tuple"); SQLite names the columns.
    """
    original = original_of(error)
    if getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        return "idempotency_key" in str(original)
    named = {_TAKEN: "constraint_name", _LOCKED: "context"}.get(_state(error))
    return named is not None and "_idempotency_key" in (getattr(original, named, None) or "")


def _state(error: BaseException) -> str:
    """Return the SQLSTATE of an error, if it has one."""
    return getattr(original_of(error), "sqlstate", None) or ""


def _code(error: BaseException) -> int | None:
    """Return the primary result code of SQLite's error, if it is one."""
    code = getattr(original_of(error), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
