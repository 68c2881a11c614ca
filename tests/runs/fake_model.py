"""A model endpoint that a test scripts: a real server on loopback, which answers `/chat/completions` as told.

Must not be here: what is asserted of it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from tests.asgi import body_of
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send


class Act(Enum):
    """What an endpoint does instead of sending something."""

    HANG = "keep the connection open, and send nothing more"
    BREAK = "close the connection before the end"


EVENT_STREAM: Final = {"content-type": "text/event-stream"}
PATIENCE_S: Final = patience(30)
_END_S: Final = 5.0


@dataclass(frozen=True)
class Script:
    """One answer: its pieces are sent one by one; a function is called, and waited for, in between."""

    pieces: Sequence[bytes | Act | Callable[[], object]]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: EVENT_STREAM)
    pace_s: float = 0.0


@dataclass
class Asked:
    """One request that the endpoint has got."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def event(chunk: object) -> bytes:
    """Write one chunk as an event."""
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: Mapping[str, Any] | None = None, reason: str | None = None, **more: Any) -> bytes:
    """Write an event with a delta."""
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": reason}
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "choices": [choice], **more})


def usage(prompt: int = 11, completion: int = 7) -> bytes:
    """Write the event with the usage, which has no choices."""
    counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return event({"object": "chat.completion.chunk", "choices": [], "usage": counted})


DONE: Final = b"data: [DONE]\n\n"


def says(*texts: str, reason: str = "stop", pace_s: float = 0.0) -> Script:
    """Answer with a text in pieces."""
    deltas = [chunk({"content": text}) for text in texts]
    return Script(
        [chunk({"role": "assistant", "content": ""}), *deltas, chunk({}, reason), usage(), DONE], pace_s=pace_s
    )


def calls(*functions: tuple[str, str], pace_s: float = 0.0) -> Script:
    """Call functions: of each its name and arguments, which come in two pieces."""
    pieces = [chunk({"role": "assistant", "content": None})]
    for index, (name, arguments) in enumerate(functions):
        half = len(arguments) // 2
        first = {"index": index, "id": f"call_{index}", "type": "function"}
        pieces += [
            chunk({"tool_calls": [{**first, "function": {"name": name, "arguments": ""}}]}),
            chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments[:half]}}]}),
            chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments[half:]}}]}),
        ]
    return Script([*pieces, chunk({}, "tool_calls"), usage(), DONE], pace_s=pace_s)


def refuses(status: int, error: object, **headers: str) -> Script:
    """Answer with a status and an error."""
    return Script([json.dumps({"error": error}).encode()], status, {"content-type": "application/json", **headers})


def echoes(body: Mapping[str, Any]) -> Script:
    """Repeat the last message, word by word, or call the first function if there is one and none was called yet."""
    last = body["messages"][-1] if body["messages"] else {"role": "user", "content": ""}
    if body.get("tools") and last["role"] != "tool":
        return calls((body["tools"][0]["function"]["name"], '{"city":"Paris"}'))
    content = last["content"] if isinstance(last["content"], str) else json.dumps(last["content"])
    return says(*(f"{word} " for word in f"You said: {content}".split()))


class FakeModel:
    """An endpoint: it answers with the scripts given by `answer` in their order, and then as `otherwise` says."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.gone = threading.Event()  # set when a client has left before the end
        self.otherwise: Callable[[Mapping[str, Any]], Script] = echoes
        self._scripts: list[Script] = []

    def answer(self, *scripts: Script) -> None:
        """Script the next answers."""
        self._scripts.extend(scripts)

    def forget(self) -> None:
        """Begin anew."""
        self.asked.clear()
        self.gone.clear()
        self._scripts.clear()
        self.otherwise = echoes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        raw = await body_of(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        body = json.loads(raw) if raw else {}
        self.asked.append(Asked(scope["path"] + query, headers, body))
        script = self._scripts.pop(0) if self._scripts else self.otherwise(body)
        sending = asyncio.create_task(self._send(script, send))
        leaving = asyncio.create_task(self._left(receive))
        await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not sending.done():
            sending.cancel()
            self.gone.set()
            return
        sending.result()

    async def _left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _send(self, script: Script, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in script.headers.items()]
        await send({"type": "http.response.start", "status": script.status, "headers": headers})
        for piece in script.pieces:
            if piece is Act.HANG:
                await asyncio.Event().wait()
            elif piece is Act.BREAK:
                raise Broken
            elif isinstance(piece, bytes):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            elif callable(piece):
                await asyncio.to_thread(piece)
            await asyncio.sleep(script.pace_s)
        await send({"type": "http.response.body", "body": b""})


class Broken(Exception):
    """The connection is closed before the end of an answer, which uvicorn does for any exception."""


@contextmanager
def fake_model() -> Iterator[FakeModel]:
    """Serve an endpoint for as long as the block."""
    model = FakeModel()
    with served(model) as address:
        model.url = f"{address}/v1"
        yield model


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application on loopback for as long as the block, in a thread of its own; give its address."""
    config = uvicorn.Config(app, loop="asyncio", log_level="critical", lifespan="off", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))  # it listens already
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(_END_S)  # a daemon: one that waits for a script goes with the process
        listener.close()
