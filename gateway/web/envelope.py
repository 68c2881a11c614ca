"""The outermost layer: what every answer carries, and what is answered when everything else failed.

Must not be here: routes, faces.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log: Final = logging.getLogger(__name__)

REQUEST_ID: Final = "gateway.request_id"  # where the scope of a request keeps its id
_SLASHES: Final = re.compile("/{2,}")


class Envelope:
    """Give each request an id, each answer the wire's headers, and each crash an answer of ours.

    Source: rest-contract §6 (headers); §4 "check order" (doubled slashes count as one).
    """

    def __init__(self, app: ASGIApp, crashed: Callable[[Scope], Response]) -> None:
        self._app = app
        self._crashed = crashed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and dress its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = f"req_{secrets.token_hex(16)}"
        has_answered = False

        async def send_dressed(message: Message) -> None:
            nonlocal has_answered
            if message["type"] == "http.response.start":
                has_answered = True
                spent_ms = int((time.perf_counter() - started) * 1000)
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    (b"openai-version", b"2020-10-01"),
                    (b"openai-processing-ms", str(spent_ms).encode()),
                ]
            await send(message)

        inner = {**scope, REQUEST_ID: request_id, "path": plain_path(scope["path"])}
        try:
            await self._app(inner, receive, send_dressed)
        except ClientDisconnect:
            log.info("%s: the client went away before its request was read", request_id)
        except Exception:
            log.exception("%s: %s %s failed", request_id, scope["method"], scope["path"])
            if has_answered:
                raise
            await self._crashed(inner)(inner, receive, send_dressed)


def plain_path(path: str) -> str:
    """Write a path without doubled slashes and without one at its end, as clients with an empty id send it."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"
