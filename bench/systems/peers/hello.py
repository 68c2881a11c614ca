"""Answer with as many bytes as the path says, the same every time: what HTTP alone costs under uvicorn."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from bench.systems.peers.listen import serve


@lru_cache
def constant(path: str) -> bytes:
    """Make the body that a path such as `/7000` asks for."""
    return b'{"hello":"' + b"." * (int(path.removeprefix("/")) - 12) + b'"}'


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answer every request."""
    if scope["type"] != "http":
        return
    body = constant(scope["path"])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    serve(app)
