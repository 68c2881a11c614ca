"""What ASGI applications of tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive


async def body_of(receive: Receive) -> bytes:
    """Read the body of a request."""
    raw, has_more = b"", True
    while has_more:
        got = await receive()
        raw, has_more = raw + got.get("body", b""), got.get("more_body", False)
    return raw
