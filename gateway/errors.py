"""The exceptions that this package raises on purpose; each face maps them to responses in one table.

GatewayError
├── InvalidRequest      the request holds an invalid value
│   └── OffsetConflict      a text is appended elsewhere than at the end
├── Unauthorized        the credential is missing, invalid, expired or revoked
├── Forbidden           the caller lacks a permission
├── ThreadLocked        an active run locks the thread
├── TooManyRequests     a rate limit or a limit of concurrent requests is exceeded
├── NotFound            the object does not exist for this caller
├── UnknownUrl          no such path
├── WrongMethod         the path exists, but not with this method
├── BodyTooLarge        the request body exceeds the limit
├── UnsupportedCoding   the Content-Encoding of the body is not supported
├── AnswerTooLarge      the response would exceed the limit
├── UnknownHost         the Host header names an unknown host
├── CrossSite           the request came from a page of an origin that is not allowed
├── IdempotencyKeyReused   the idempotency key was used for another input
├── IdempotencyKeyInUse    a request with the same idempotency key is still running
├── Unavailable         the database is busy or unavailable; a retry may succeed
└── OperatorError       the operator has to act; the message says how
    ├── InvalidSetting      a setting has an invalid value
    ├── UnknownProject      a command names a project that does not exist
    ├── DatabaseBehind      the database has to be migrated
    ├── DatabaseInUse       another process serves the SQLite database, or replaces it
    ├── DatabaseDamaged     the files of the SQLite database are not one whole database
    ├── TemporaryFailed     the temporary database of a command cannot be written
    ├── BackupFailed        the backup was not created
    └── RestoreFailed       the backup was not restored

Must not be here: status codes, formatting for any face.
"""

from __future__ import annotations

from typing import ClassVar, Final

# Characters of a caller's input: of a value, of a name in a path. Both together are `bounds.SHOWN`.
_VALUE: Final = 128  # an id that was imported has 127
_NAME: Final = 72  # a key of metadata may have 64
SEND_AGAIN: Final = "Please send the request again."  # the end of a message; a command has sent none


def excerpt(sent: str) -> str:
    """Shorten a value of the request for an error message; every value in a message goes through here."""
    return sent if len(sent) <= _VALUE else f"{sent[: _VALUE - 3]}..."


def excerpt_of_name(sent: str) -> str:
    """Shorten the name of a field of the request, for a message and for `param`."""
    return sent if len(sent) <= _NAME else f"{sent[: _NAME - 3]}..."


class GatewayError(Exception):
    """The base class: a message for the caller, and where useful the field and a stable code.

    `type` is the error type of the wire format, the same in both faces.
    """

    type: ClassVar[str] = "invalid_request_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class InvalidRequest(GatewayError):
    """A field of the request is invalid; `param` names it."""


class OffsetConflict(InvalidRequest):
    """A text is appended elsewhere than at the end of a part, and is not there already; `offset` is the true end."""

    def __init__(self, offset: int) -> None:
        super().__init__(
            f"The last text part ends at offset {offset}, and does not have this text at the given one.",
            param="offset",
            code="offset_conflict",
        )
        self.offset = offset


class Unauthorized(GatewayError):
    """The credential is missing, invalid, expired or revoked."""


class Forbidden(GatewayError):
    """The caller lacks a permission."""


class TooManyRequests(GatewayError):
    """A rate limit is exceeded; `retry_after_s` is when to retry."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message, code="rate_limit_exceeded")
        self.retry_after_s = retry_after_s


class ThreadLocked(GatewayError):
    """An active run locks the thread; `is_overdue` if that run has expired."""

    def __init__(self, thread_id: str, run_id: str, message: str | None = None, *, is_overdue: bool = False) -> None:
        super().__init__(message or f"Can't add messages to {thread_id} while a run {run_id} is active.")
        self.thread_id = thread_id
        self.run_id = run_id
        self.is_overdue = is_overdue


class NotFound(GatewayError):
    """The object does not exist for this caller: never created, deleted, or of another project."""

    def __init__(self, kind: str, object_id: str) -> None:
        super().__init__(f"No {kind} found with id '{excerpt(object_id)}'.")


class UnknownUrl(GatewayError):
    """No resource lives at this path."""


class WrongMethod(GatewayError):
    """The path exists, but not with this method."""

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class BodyTooLarge(GatewayError):
    """The request body is larger than the limit."""


class UnsupportedCoding(GatewayError):
    """The Content-Encoding of the request body is not supported."""


class AnswerTooLarge(GatewayError):
    """The response would be larger than the limit."""

    def __init__(self) -> None:
        super().__init__(
            "The response would be too large. Request fewer or smaller objects at once.", code="answer_too_large"
        )


class UnknownHost(GatewayError):
    """The Host header names a host that this server does not serve."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"Unknown Host header: '{excerpt(host)}'. Expected one of the host names in GATEWAY_HOSTS.",
            code="unknown_host",
        )


class CrossSite(GatewayError):
    """A browser sent the request from a page of an origin that is not allowed."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            "Cross-origin request blocked. Expected the server's own origin or one in GATEWAY_CORS_ORIGINS, "
            f"but got '{excerpt(origin)}' in the Origin header.",
            code="cross_site_request",
        )


class IdempotencyKeyReused(GatewayError):
    """An idempotency key was used before, for another input."""

    def __init__(self) -> None:
        super().__init__(
            "The idempotency key was used before with another input. Use a new key for each object to create.",
            code="idempotency_key_reused",
        )


class IdempotencyKeyInUse(GatewayError):
    """A request with the same idempotency key is still running; a retry may succeed."""

    def __init__(self) -> None:
        super().__init__(
            f"A request with the same idempotency key is still running. {SEND_AGAIN}",
            code="idempotency_key_in_use",
        )


class Unavailable(GatewayError):
    """The database is busy or unavailable; the request may be retried."""

    type = "server_error"


class OperatorError(GatewayError):
    """The operator has to fix something; the message says how."""


class InvalidSetting(OperatorError):
    """A setting has an invalid value."""


class UnknownProject(OperatorError):
    """A command names a project in which nothing is, nor was; `has` says which there are."""

    def __init__(self, project_id: str, has: str) -> None:
        super().__init__(f"--project: there is no project '{project_id}' in the database, which has {has}.")


class DatabaseBehind(OperatorError):
    """The database schema is older than this program needs."""


class TemporaryFailed(OperatorError):
    """A temporary database cannot be written, so the command did not do its work."""


class BackupFailed(OperatorError):
    """The backup was not created, and no partial file is left."""


class RestoreFailed(OperatorError):
    """The backup was not restored, and the database is as it was."""


class DatabaseInUse(OperatorError):
    """Another process serves the database, or replaces it."""


class DatabaseDamaged(OperatorError):
    """The files of the database are not one whole database; the message says how to mend that."""
