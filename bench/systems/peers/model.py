"""Answer `/chat/completions` with numbers, a token each, at a pace: what a model sends to a run.

`python -m bench.systems.peers.model TOKENS PER_SECOND` prints its port.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import uvicorn

TOKENS, PER_SECOND = int(sys.argv[1]), float(sys.argv[2])


def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
    """Write an event as servers do, with what a client does not need."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    head = {"id": "chatcmpl-0123456789", "object": "chat.completion.chunk", "created": 1_787_000_000, "model": "bench"}
    return b"data: " + json.dumps({**head, "system_fingerprint": None, "choices": [choice]}).encode() + b"\n\n"


PIECES = [chunk({"content": f"{number} "}) for number in range(TOKENS)]
END = chunk({}, "stop") + b"data: [DONE]\n\n"


async def app(_scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer every request; a token that is late does not delay those after it."""
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    clock = asyncio.get_running_loop().time
    begun = clock()
    for number, piece in enumerate(PIECES):
        await asyncio.sleep(begun + number / PER_SECOND - clock())
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": END})


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error")).run(sockets=[listener])
