"""The OpenAPI 3.1 document of the REST face.

It is written by hand, since it is a contract; tests compare it with the program and with the original API.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.web.request import Answer

if TYPE_CHECKING:
    from gateway.web.request import Request

URL: Final = "/openapi.json"
_DOCUMENT: Final = Path(__file__).with_name("openapi.json").read_bytes()


async def describe(_request: Request) -> Answer:
    """Answer `/openapi.json`, which is public and needs no key."""
    return Answer(_DOCUMENT)
