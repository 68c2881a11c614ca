"""One HTTP request as both faces read it, and the answer that they give.

Starlette's own classes do more than is needed here, and cost a page of messages a tenth of its instructions.
Must not be here: what an answer carries besides (`envelope`), bounds on a body (`limits`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from starlette.types import Receive, Scope

    from gateway.observability.record import RequestRecord

JSON: Final = b"application/json"
ENCODED_SLASH: Final = "\udc2f"  # stands for %2F in a path, which separates nothing; decoded text holds no surrogates


class HeadersLike(Protocol):
    """Headers by name, in small letters; Starlette's are such, too."""

    def get(self, name: str, /) -> str | None:
        """Give the first value."""

    def getlist(self, name: str, /) -> list[str]:
        """Give all values."""

    def __contains__(self, name: object, /) -> bool:
        """Say whether there is one."""


class Headers:
    """The headers of a request; each is decoded only when it is asked for."""

    __slots__ = ("_first", "_raw")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._first = dict(reversed(raw))

    def get(self, name: str, /) -> str | None:
        """Give the first value."""
        value = self._first.get(name.encode())
        return None if value is None else value.decode("latin-1")

    def getlist(self, name: str, /) -> list[str]:
        """Give all values."""
        if len(self._first) == len(self._raw):  # each is there once
            value = self.get(name)
            return [] if value is None else [value]
        wanted = name.encode()
        return [value.decode("latin-1") for each, value in self._raw if each == wanted]

    def forget(self, but: Container[bytes]) -> None:
        """Let go of all but some, in the server's own list too, where a connection goes on that needs no others."""
        self._raw[:] = [each for each in self._raw if each[0] in but]
        self._first = dict(reversed(self._raw))

    def __contains__(self, name: object, /) -> bool:
        return str(name).encode() in self._first


@dataclass(slots=True)
class Request:
    """A request; `path` is that of `envelope.normalize_path`, and `path_params` are what a route has found in it."""

    scope: Scope
    receive: Receive
    record: RequestRecord
    path: str
    headers: Headers
    method: str
    path_params: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The pairs of the query string."""
        return query_pairs(self.scope["query_string"])


def display_path(path: str) -> str:
    """Write a path for people, with encoded slashes as they were sent."""
    return path.replace(ENCODED_SLASH, "%2F")


def query_pairs(query_string: bytes) -> list[tuple[str, str]]:
    """Read a query string."""
    return parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)


class Answer(NamedTuple):
    """A whole answer; `headers` are those that this answer alone has."""

    body: bytes
    status: int = 200
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def as_headers(given: Mapping[str, str] | None) -> tuple[tuple[bytes, bytes], ...]:
    """Write headers as they go over the wire."""
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in (given or {}).items())
