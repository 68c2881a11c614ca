"""Framing: what follows a head, strictly by RFC 9112, so that no body is parsed as a request.

Must not be here: connections, what is answered.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    Headers = Sequence[tuple[bytes, bytes]]  # names in small letters

VERSION: Final = "1.1"
WEBSOCKET: Final = b"websocket"
WEBSOCKET_VERSION: Final = b"13"


class Follows(Enum):
    """What follows a head that names another protocol."""

    BODY = auto()  # it is an ordinary request, whose body is as long as it says
    WEBSOCKET = auto()
    UNKNOWN_WEBSOCKET = auto()  # of a version that we do not speak


def is_faulty(version: str, headers: Headers) -> bool:
    """Check for a head that two servers may read differently: several hosts, or a transfer coding except `chunked`.

    A list of codings that only ends with `chunked` may be read in another way by a proxy.
    Source: RFC 9112, sections 3.2, 6.1 (HTTP/1.0 has none) and 6.3.
    """
    if len(_values(headers, b"host")) > 1:
        return True
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    return bool(codings) and (version != VERSION or codings != [b"chunked"])


def what_follows(method: str, version: str, headers: Headers) -> Follows:
    """Say what follows a head with `Upgrade` and `Connection: upgrade`.

    Anything but the handshake of a WebSocket is an upgrade that we ignore, as a server may.
    Source: RFC 9110, section 7.8; RFC 6455, sections 4.1 (a GET without a body), 4.2.1 and 4.4.
    """
    protocols = [each.strip().lower() for each in b",".join(_values(headers, b"upgrade")).split(b",")]
    has_body = any(_values(headers, b"transfer-encoding")) or any(
        value.strip() != b"0" for value in _values(headers, b"content-length")
    )
    if method != "GET" or version != VERSION or protocols != [WEBSOCKET] or has_body:
        return Follows.BODY
    versions = _values(headers, b"sec-websocket-version")
    if not versions and not _values(headers, b"sec-websocket-key"):
        return Follows.BODY
    return Follows.WEBSOCKET if versions == [WEBSOCKET_VERSION] else Follows.UNKNOWN_WEBSOCKET


def without_upgrade(method: str, target: bytes, version: str, headers: Headers) -> bytes:
    """Write a head as if it had named no other protocol, and otherwise unchanged."""
    lines = [b"%b %b HTTP/%b" % (method.encode(), target, version.encode())]
    lines += [b"%b: %b" % header for header in headers if header[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])


def _values(headers: Headers, named: bytes) -> list[bytes]:
    return [value for name, value in headers if name == named]
