"""The request and response objects of both faces.

Starlette's classes do more than needed, and would take a tenth of the instructions of a page of messages.
Must not be here: common response headers (`middleware`), limits of a body (`body`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from starlette.types import Receive, Scope

    from gateway.observability.record import RequestRecord

JSON: Final = b"application/json"
RESPOND: Final = "gateway.respond"  # extension of the scope: writes a whole response, given status, lines and body
ENCODED_SLASH: Final = "\udc2f"  # stands for %2F in a path, which separates nothing; decoded text holds no surrogates

# What is left of a line without these bytes is control characters. Source: RFC 9110, section 5.5.
_PRINTABLE: Final = bytes({*range(0x20, 0x100), 0x09} - {0x7F})


class Headers:
    """The headers of a request by lower-case name; decoded on access."""

    __slots__ = ("_first", "_raw")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._first = dict(reversed(raw))

    def get(self, name: str) -> str | None:
        """Return the first value."""
        value = self._first.get(name.encode())
        return None if value is None else value.decode("latin-1")

    def getlist(self, name: str) -> list[str]:
        """Return all values."""
        if len(self._first) == len(self._raw):  # no header is repeated
            value = self.get(name)
            return [] if value is None else [value]
        wanted = name.encode()
        return [value.decode("latin-1") for each, value in self._raw if each == wanted]

    def forget(self, but: Container[bytes]) -> None:
        """Drop all headers but some, also from the server's list, to save memory on a long-lived connection."""
        self._raw[:] = [each for each in self._raw if each[0] in but]
        self._first = dict(reversed(self._raw))

    def __contains__(self, name: str) -> bool:
        return name.encode() in self._first


@dataclass(slots=True)
class Request:
    """A request; `path` is normalized, and `path_params` are set by the matching route."""

    scope: Scope
    receive: Receive
    record: RequestRecord
    path: str
    headers: Headers
    method: str
    path_params: Mapping[str, str] = field(default_factory=dict)


def display_path(path: str) -> str:
    """Format a path for logs and errors, with encoded slashes as sent."""
    return path.replace(ENCODED_SLASH, "%2F")


def query_pairs(query_string: bytes) -> list[tuple[str, str]]:
    """Read a query string."""
    return parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)


class Answer(NamedTuple):
    """A complete response; `headers` are its own, without the common ones."""

    body: bytes
    status: int = 200
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def as_headers(given: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """Encode headers for the wire."""
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items())


def header_lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Format headers as lines.

    Errors: ValueError if a header holds a control character, such as a line break that would begin another one.
    """
    lines = b"".join([b"%b: %b\r\n" % each for each in headers])
    if lines.translate(None, _PRINTABLE) != b"\r\n" * len(headers):
        raise ValueError("A header holds a control character.")
    return lines


def as_pairs(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Split lines of headers into names and values."""
    pairs = [line.split(b": ", 1) for line in lines.split(b"\r\n")[:-1]]
    return [(name, value) for name, value in pairs]
