"""Short ways to speak both protocols of subscriptions in tests."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.following import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from websockets.asyncio.client import ClientConnection
    from websockets.typing import Subprotocol

ADDED: Final = """
subscription($threadId: ID!, $after: String) {
  messageAdded(threadId: $threadId, after: $after) { cursor node { id text } }
}"""
LIST_OF_OWNER: Final = """subscription ($owner: String) {
  threadListEvents(filter: {owner: $owner}) { __typename ... on ThreadDeleted { threadId } }
}"""
EVENTS: Final = """
subscription($threadId: ID!, $after: String) {
  threadEvents(threadId: $threadId, after: $after) {
    __typename cursor
    ... on MessageCreated { message { id } }
    ... on MessageDelta { messageId text offset }
  }
}"""


@dataclass(frozen=True)
class Socket:
    """A client of graphql-transport-ws."""

    raw: ClientConnection

    async def send(self, kind: str, **rest: Any) -> None:
        await self.raw.send(json.dumps({"type": kind, **rest}))

    async def receive(self) -> dict[str, Any]:
        # Not by `wait_for`, which in Python 3.11 loses a cancellation that comes with a message.
        async with asyncio.timeout(PATIENCE_S):
            message: dict[str, Any] = json.loads(await self.raw.recv())
        return message

    async def subscribe(self, query: str, operation_id: str = "1", **variables: Any) -> None:
        await self.send("subscribe", id=operation_id, payload={"query": query, "variables": variables})

    async def texts(self, count: int) -> list[str]:
        """Receive so many messages of a thread."""
        return [(await self.receive())["payload"]["data"]["messageAdded"]["node"]["text"] for _ in range(count)]

    async def end(self) -> tuple[int, str]:
        """Read on until the connection is closed, and say how."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await self.raw.recv()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


@asynccontextmanager
async def open_socket(
    base_url: str, *, subprotocols: tuple[str, ...] = ("graphql-transport-ws",), **options: Any
) -> AsyncIterator[Socket]:
    """Connect without saying hello."""
    offered: list[Subprotocol] = list(subprotocols)  # type: ignore[arg-type]
    url = base_url.replace("http", "ws", 1) + "/graphql"
    async with connect(url, subprotocols=offered or None, open_timeout=PATIENCE_S, **options) as raw:
        yield Socket(raw)


@asynccontextmanager
async def socket_to(base_url: str, **options: Any) -> AsyncIterator[Socket]:
    """Connect and say hello."""
    async with open_socket(base_url, **options) as socket:
        await socket.send("connection_init")
        assert await socket.receive() == {"type": "connection_ack"}
        yield socket


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    kind: str
    id: str | None
    data: Any


async def events_of(response: httpx.Response) -> AsyncIterator[Event | None]:
    """Read server-sent events as they come; None for a comment, which keeps the connection alive."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line.startswith(":"):
            yield None
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            data = fields.get("data")
            yield Event(fields.get("event", "message"), fields.get("id"), json.loads(data) if data else None)
            fields = {}


@asynccontextmanager
async def stream_of(
    http: httpx.AsyncClient, query: str, last_event_id: str | None = None, **variables: Any
) -> AsyncIterator[AsyncIterator[Event]]:
    """Subscribe by a stream of its own."""
    headers = {"accept": "text/event-stream"} | ({} if last_event_id is None else {"last-event-id": last_event_id})
    body = {"query": query, "variables": variables}
    async with http.stream("POST", "/graphql", json=body, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream"), await response.aread()
        yield (each async for each in events_of(response) if each is not None)
