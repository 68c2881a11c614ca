"""Clients over HTTP that stop to read: they are cut off, and what they followed they go on with from its last event."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.server import timeouts
from tests.following import PATIENCE_S, make_thread, say, take, until
from tests.live.inside import WHO, serving_inside
from tests.live.subscribing import ADDED, stream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.live.inside import Inside

EVENTS = """
subscription($threadId: ID!, $after: String) {
  threadEvents(threadId: $threadId, after: $after) { cursor ... on MessageCreated { message { text } } }
}"""
MANY = 40
TEXTS = [f"{n} " + "x" * 200_000 for n in range(MANY)]  # more together than the sockets on both sides take
EVENT = re.compile(rb"id: (\S+)\nevent: next\ndata: (.*)\n\n")  # each is written at once, so chunks break none


@pytest.fixture
async def inside(sqlite_url: str) -> AsyncIterator[Inside]:
    async with serving_inside(sqlite_url) as server:
        yield server


@asynccontextmanager
async def asked(base_url: str, method: str, path: str, body: Any = None) -> AsyncIterator[socket.socket]:
    """Send a request, and leave the reading to the block."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: g\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
    loop = asyncio.get_running_loop()
    with socket.socket() as raw:
        raw.setblocking(False)
        await loop.sock_connect(raw, ("127.0.0.1", int(base_url.rpartition(":")[2])))
        await loop.sock_sendall(raw, f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        yield raw


async def rest_of(raw: socket.socket) -> bytes:
    """Read until the connection is closed."""
    found = b""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionResetError):
            while piece := await asyncio.get_running_loop().sock_recv(raw, 1024 * 1024):
                found += piece
    return found


def text_in(told: Any) -> str:
    [event] = told["data"].values()
    text: str = (event.get("node") or event.get("message"))["text"]
    return text


@pytest.mark.parametrize("query", [pytest.param(ADDED, id="messageAdded"), pytest.param(EVENTS, id="threadEvents")])
async def test_an_unread_stream_is_closed_and_resumes_from_its_last_event(
    inside: Inside, query: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(timeouts, "WRITE_S", 0.1)
    thread = await make_thread(inside.store, WHO)
    await say(inside.store, WHO, thread, *TEXTS)
    body = {"query": query, "variables": {"threadId": thread, "after": "0"}}

    async with asked(inside.base_url, "POST", "/graphql", body) as raw:
        await until(lambda: bool(inside.hub.topics()))
        await until(lambda: not inside.hub.topics())
        heard = EVENT.findall(await rest_of(raw))

    assert 0 < len(heard) < MANY
    last_event_id = heard[-1][0].decode()
    async with (
        httpx.AsyncClient(base_url=inside.base_url, timeout=PATIENCE_S) as http,
        stream_of(http, query, last_event_id, threadId=thread, after="0") as events,
    ):
        rest = [each.data for each in await take(events, MANY - len(heard))]
    assert [text_in(each) for each in [*(json.loads(data) for _, data in heard), *rest]] == TEXTS
    assert "Traceback" not in caplog.text


async def test_a_client_that_does_not_read_its_page_is_disconnected(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "WRITE_S", 0.1)
    thread = await make_thread(inside.store, WHO)
    await say(inside.store, WHO, thread, *TEXTS)

    async with asked(inside.base_url, "GET", f"/v1/threads/{thread}/messages?limit=100") as raw:
        await until(lambda: bool(inside.connections))
        await until(lambda: not inside.connections)

        assert len(await rest_of(raw)) < sum(map(len, TEXTS))


async def test_an_unread_stream_does_not_delay_shutdown(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "CLOSE_S", 0.1)
    async with serving_inside(sqlite_url) as inside:
        thread = await make_thread(inside.store, WHO)
        await say(inside.store, WHO, thread, *TEXTS)
        body = {"query": ADDED, "variables": {"threadId": thread, "after": "0"}}
        async with asked(inside.base_url, "POST", "/graphql", body) as raw:
            await until(lambda: bool(inside.hub.topics()))
            [connection] = inside.connections
            await until(lambda: connection.flow.write_paused)

            async with asyncio.timeout(timeouts.WRITE_S / 2):
                await inside.stop()

            assert len(await rest_of(raw)) < sum(map(len, TEXTS))
