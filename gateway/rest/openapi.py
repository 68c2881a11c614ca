"""The description of the REST face that clients and their tools read: OpenAPI 3.1.

It is written by hand, so that it says what was promised and not what the program happens to do; tests hold both
together, and to the original.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

URL: Final = "/openapi.json"
_DOCUMENT: Final = Path(__file__).with_name("openapi.json").read_bytes()


async def describe(_request: Request) -> Response:
    """Answer `/openapi.json`, which is public text: nobody needs a key."""
    return Response(_DOCUMENT, media_type="application/json")
