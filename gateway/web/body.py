"""Reading a request body within its limit.

Must not be here: limits on threads and messages (`domain.parse`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from gateway.domain import bounds
from gateway.web.content_coding import inflater_for, too_large

if TYPE_CHECKING:
    from gateway.web.request import Request

MAX_BODY: Final = bounds.BODY.number


async def read_body(request: Request, most: int = MAX_BODY) -> bytes:
    """Read and decompress a body; the limit holds for both its compressed and its decompressed size.

    Errors: BodyTooLarge, at once if Content-Length exceeds the limit, else at the first byte over it;
    UnsupportedCoding; InvalidRequest if the gzip data is invalid; ClientDisconnect.
    """
    inflater = inflater_for(request.headers, most)
    announced = request.headers.get("content-length") or "0"
    if announced.isdecimal() and int(announced) > most:
        raise too_large(most)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise too_large(most)
        if inflater is not None:
            piece = inflater.feed(piece)
        if not message.get("more_body", False):
            if inflater is not None:
                inflater.end()
            return b"".join((*chunks, piece)) if chunks else piece
        chunks.append(piece)
