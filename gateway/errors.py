"""Every error this package raises on purpose; what a face answers to each stands in that face's one table.

GatewayError
├── InvalidRequest      the caller sent something that cannot be accepted
├── Unauthorized        nobody who is known sends this
├── Forbidden           the caller is known, and may not do this
├── TooManyRequests     the caller asks more, or more at once, than it may
├── NotFound            no such object for this caller
├── UnknownUrl          no such path
├── WrongMethod         the path is there, this method is not
├── BodyTooLarge        the body passed the limit while it was read
├── UnsupportedCoding   the body is coded in a way that is not read here
├── AnswerTooLarge      the answer would hold more than one may
├── UnknownHost         the request names a host that this server does not go by
├── CrossSite           a page of another site made a browser send it
├── Unavailable         the database is busy or away; the same request may succeed later
└── OperatorError       for the person at the command line
    ├── InvalidSetting      a setting has a value it cannot take
    ├── DatabaseBehind      the database has not been migrated to this version
    └── BackupFailed        no backup was made

Must not be here: status codes, formatting for any face.
"""

from __future__ import annotations

from typing import ClassVar, Final

# Characters of what a caller sent: of a value, of a name in a path. Both together are `bounds.SHOWN`.
_VALUE: Final = 128  # an id that was imported has 127
_NAME: Final = 72  # a key of metadata may have 64


def excerpt(sent: str) -> str:
    """Shorten a value that was sent for the message of an error; nothing else brings one into a message."""
    return sent if len(sent) <= _VALUE else f"{sent[: _VALUE - 3]}..."


def excerpt_of_name(sent: str) -> str:
    """Shorten the name of a field that was sent, which stands in a message and in `param`."""
    return sent if len(sent) <= _NAME else f"{sent[: _NAME - 3]}..."


class GatewayError(Exception):
    """Base of the tree: a message for the caller, and where it helps the field and a stable code.

    `type` is the wire's word for whose fault it is, the same in both faces.
    """

    type: ClassVar[str] = "invalid_request_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class InvalidRequest(GatewayError):
    """The caller sent something that cannot be accepted; `param` names the field."""


class Unauthorized(GatewayError):
    """The caller has not said who it is, or what it said is not, or no longer, good."""


class Forbidden(GatewayError):
    """The caller is known, and may not do this."""


class TooManyRequests(GatewayError):
    """The caller asks more than it may; `retry_after_s` is when it may ask again."""

    def __init__(self, message: str, *, code: str, retry_after_s: int) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class NotFound(GatewayError):
    """There is no such object for this caller: never made, deleted, or another project's."""

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
    """The request's body is larger than this server reads."""


class UnsupportedCoding(GatewayError):
    """The request's body is coded in a way that this server does not read."""


class AnswerTooLarge(GatewayError):
    """What is asked for at once holds more than one answer may."""

    def __init__(self) -> None:
        super().__init__(
            "The response would be too large. Request fewer or smaller objects at once.", code="answer_too_large"
        )


class UnknownHost(GatewayError):
    """The request is meant for a host that this server does not go by."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"Unknown Host header: '{excerpt(host)}'. Expected one of the host names in GATEWAY_HOSTS.",
            code="unknown_host",
        )


class CrossSite(GatewayError):
    """A page of an origin that is not let in made a browser send the request."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            "Cross-origin request blocked. Expected the server's own origin or one in GATEWAY_CORS_ORIGINS, "
            f"but got '{excerpt(origin)}' in the Origin header.",
            code="cross_site_request",
        )


class Unavailable(GatewayError):
    """The database cannot answer now; the same request may be sent again."""

    type = "server_error"


class OperatorError(GatewayError):
    """Something the person at the command line has to mend; the message says how."""


class InvalidSetting(OperatorError):
    """A setting has a value that it cannot take."""


class DatabaseBehind(OperatorError):
    """The database has not been migrated to the version that this program needs."""


class BackupFailed(OperatorError):
    """No backup was made, and nothing was left where it should have been."""
