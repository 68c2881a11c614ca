"""Content-Encoding of request bodies: gzip is decompressed as a stream, within the limit of a plain body.

Source: RFC 9110, 8.4 (Content-Encoding), 12.5.3 (Accept-Encoding in an answer); RFC 1952 (members).
Must not be here: reading a body (`body`).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from gateway.domain import bounds
from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedCoding, excerpt

if TYPE_CHECKING:
    from gateway.web.request import Headers

HEADER: Final = "content-encoding"
_GZIP: Final = ("gzip", "x-gzip")  # RFC 9110, 8.4.1.3: the two are equivalent
_WITH_HEADER: Final = 16 + zlib.MAX_WBITS  # zlib: gzip and nothing else


def inflater_for(headers: Headers, most: int) -> Inflater | None:
    """Create the decompressor of a body of at most so many bytes; None without Content-Encoding.

    Errors: UnsupportedCoding.
    """
    if HEADER not in headers:
        return None
    named = [each.strip().lower() for each in ",".join(headers.getlist(HEADER)).split(",")]
    codings = [each for each in named if each not in ("", "identity")]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _GZIP:
        message = (
            f"The request's Content-Encoding '{excerpt(', '.join(codings))}' is not supported. Expected gzip or none."
        )
        raise UnsupportedCoding(message, code="unsupported_content_encoding")
    return Inflater(most)


class Inflater:
    """Decompresses a body piece by piece and stops at the limit: a few kilobytes can expand to gigabytes."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._members = 1
        self._member = zlib.decompressobj(_WITH_HEADER)

    def feed(self, piece: bytes) -> bytes:
        """Decompress the next piece.

        Errors: BodyTooLarge; InvalidRequest if it is not gzip.
        """
        found: list[bytes] = []
        while piece:
            if self._member.eof:
                self._begin_member()
            try:
                inflated = self._member.decompress(piece, self._left + 1)
            except zlib.error:
                raise _no_gzip() from None
            self._left -= len(inflated)
            if self._left < 0:
                raise too_large(self._most)
            found.append(inflated)
            piece = self._member.unused_data
        return b"".join(found)

    def end(self) -> None:
        """Finish the body.

        Errors: InvalidRequest if the gzip data is truncated.
        """
        if not self._member.eof:
            raise _no_gzip()

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > bounds.GZIP_MEMBERS.number:
            raise _no_gzip()
        self._member = zlib.decompressobj(_WITH_HEADER)


def too_large(most: int) -> BodyTooLarge:
    """Create the error for a body over the limit."""
    return BodyTooLarge(f"The request body is too large. Expected at most {most} bytes.", code=bounds.BODY.code)


def _no_gzip() -> InvalidRequest:
    return InvalidRequest(
        "Invalid body: expected one complete gzip stream, as Content-Encoding says, with no data after it.",
        code=bounds.GZIP_MEMBERS.code,
    )
