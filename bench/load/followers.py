"""Subscribers of threads over WebSocket, and the memory that each takes in the server.

Must not be here: other memory of a server (`extras`).
"""

from __future__ import annotations

import asyncio
import json
import resource
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from bench.cases.case import request
from bench.corpus.messages import MADE
from bench.load.single_connection import SingleConnection
from bench.systems.server import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

    from bench.systems.databases import Prepared
    from bench.systems.server import Server

PATIENCE_S: Final = 120
THREADS: Final = 10  # that are followed, each by as many
_PROTOCOL: Final = Subprotocol("graphql-transport-ws")
_ADDED: Final = """subscription Follow($threadId: ID!) {
  messageAdded(threadId: $threadId, after: "0") { cursor node { id text } } }"""


class Followers:
    """Subscribers on one server, to threads of their own."""

    def __init__(self, server: Server, key: str, stack: AsyncExitStack) -> None:
        self._server, self._key, self._stack = server, key, stack
        self._threads: list[str] = []
        self._sockets: list[ClientConnection] = []

    async def add(self, count: int) -> None:
        """Subscribe more clients to new threads, and wait until each has received a message."""
        threads = [json.loads(self._post("/v1/threads", {}))["id"] for _ in range(THREADS)]
        new = [await self._follow(threads[n % THREADS]) for n in range(count)]
        await self._say(threads, new)
        self._threads += threads
        self._sockets += new

    async def say(self) -> None:
        """Add a message to each thread, and wait until all subscribers have received it."""
        await self._say(self._threads, self._sockets)

    async def _say(self, threads: list[str], sockets: list[ClientConnection]) -> None:
        waiting = asyncio.gather(*[_received(each) for each in sockets])
        for thread_id in threads:
            body = {"role": "user", "content": "Hello"}
            await asyncio.to_thread(self._post, f"/v1/threads/{thread_id}/messages", body)
        async with asyncio.timeout(PATIENCE_S):
            await waiting

    async def _follow(self, thread_id: str) -> ClientConnection:
        return await subscribed(self._stack, self._server.port, self._key, thread_id)

    def _post(self, path: str, body: dict[str, Any]) -> bytes:
        with SingleConnection(self._server.port) as connection:
            return connection.ask(request("POST", path, body, self._key))


async def subscribed(
    stack: AsyncExitStack, port: int, key: str, thread_id: str, document: str = _ADDED
) -> ClientConnection:
    """Subscribe a client to the messages of a thread from its beginning, until the end of the stack."""
    headers = {"Authorization": f"Bearer {key}"}
    url = f"ws://127.0.0.1:{port}/graphql"
    opening = connect(
        url, subprotocols=[_PROTOCOL], additional_headers=headers, ping_interval=None, max_queue=None, proxy=None
    )
    socket = await stack.enter_async_context(opening)
    await _send(socket, type="connection_init", payload={})
    await socket.recv()
    await _send(socket, type="subscribe", id="1", payload={"query": document, "variables": {"threadId": thread_id}})
    return socket


@asynccontextmanager
async def followers(server: Server, key: str) -> AsyncIterator[Followers]:
    """Open a set of subscribers, and close all of them at the end."""
    async with AsyncExitStack() as stack:
        yield Followers(server, key, stack)


def allow_files(count: int) -> None:
    """Raise the limit on open files of this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count)), hard))


def bytes_of_follower(prepared: Prepared, count: int) -> float:
    """Measure the memory of a subscriber, after a tenth of them has warmed the server up."""
    allow_files(count * 2)

    async def follow(server: Server) -> float:
        async with followers(server, prepared.keys[MADE]) as following:
            await following.add(max(THREADS, count // 10))
            before = server.resident_bytes()
            await following.add(count)
            return (server.resident_bytes() - before) / count

    with serve(prepared.ours, prepared.url) as server:
        return asyncio.run(follow(server))


async def _send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def _received(socket: ClientConnection) -> None:
    """Wait for the next message of a thread."""
    while True:
        message = json.loads(await socket.recv())
        if message["type"] == "next" and "errors" not in message["payload"]:
            return
        if message["type"] != "ping":
            raise SystemExit(f"A subscriber received: {message}")
