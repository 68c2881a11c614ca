"""Shutdown: followers are disconnected at once, running requests finish."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.server import timeouts
from gateway.server.timeouts import CLOSE_S
from tests.following import PATIENCE_S, rest_of, take, until
from tests.live.inside import Inside, serving_inside
from tests.live.server import serving, until_refused
from tests.live.subscribing import ADDED, events_of, open_socket, socket_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.live.server import Server

STOPS = [pytest.param(each, id=each.name) for each in (signal.SIGTERM, signal.SIGINT)]


def thread_with(server: Server, *texts: str) -> str:
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    answer = httpx.post(f"{server.base_url}/v1/threads", json=body, timeout=PATIENCE_S)
    thread_id: str = answer.raise_for_status().json()["id"]
    return thread_id


@pytest.mark.parametrize("how", STOPS)
async def test_websockets_are_closed_with_1001(database_url: str, tmp_path: Path, how: signal.Signals) -> None:
    with serving(database_url, folder=tmp_path) as server:
        thread_id = thread_with(server, "1")
        async with socket_to(server.base_url) as follower, open_socket(server.base_url) as silent:
            await follower.subscribe(ADDED, threadId=thread_id, after="0")
            await follower.texts(1)

            server.process.send_signal(how)

            assert [(await each.end())[0] for each in (follower, silent)] == [1001, 1001]
        await asyncio.to_thread(server.wait)

    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("how", STOPS)
async def test_streams_end_without_complete_so_that_clients_reconnect(
    database_url: str, tmp_path: Path, how: signal.Signals
) -> None:
    with serving(database_url, folder=tmp_path) as server:
        thread_id = thread_with(server, "1")
        body = {"query": ADDED, "variables": {"threadId": thread_id, "after": "0"}}
        headers = {"accept": "text/event-stream"}
        async with (
            httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http,
            http.stream("POST", "/graphql", json=body, headers=headers) as response,
        ):
            events = events_of(response)
            await take(events, 2)

            server.process.send_signal(how)

            assert await rest_of(events) == []
        await asyncio.to_thread(server.wait)

    assert "Traceback" not in server.stderr


async def test_two_workers_disconnect_their_followers_at_shutdown(postgres_url: str, tmp_path: Path) -> None:
    with serving(postgres_url, folder=tmp_path, given={"GATEWAY_WORKERS": "2"}) as server:
        thread_id = thread_with(server, "1")
        async with (
            socket_to(server.base_url) as one,
            socket_to(server.base_url) as two,
            socket_to(server.base_url) as three,
        ):
            sockets = (one, two, three)
            for each in sockets:
                await each.subscribe(ADDED, threadId=thread_id, after="0")
                await each.texts(1)

            server.process.send_signal(signal.SIGTERM)

            assert [(await each.end())[0] for each in sockets] == [1001] * 3
        assert await asyncio.to_thread(server.wait) == 0


async def test_a_running_request_finishes_when_followers_are_disconnected(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, folder=tmp_path) as server:
        thread_id = thread_with(server)
        body = b'{"role": "user", "content": "begun"}'
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = f"POST /v1/threads/{thread_id}/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        async with socket_to(server.base_url) as socket:
            server.process.send_signal(signal.SIGTERM)
            assert (await socket.end())[0] == 1001

        writer.write(body)
        answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
        await asyncio.to_thread(server.wait)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"begun" in answer


@pytest.fixture
async def kept(sqlite_url: str) -> AsyncIterator[tuple[Inside, httpx.AsyncClient]]:
    """Have a connection that is kept for the next request."""
    async with (
        serving_inside(sqlite_url) as server,
        httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http,
    ):
        await http.get("/readyz")
        yield server, http


async def begin_to_stop(server: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell a server to stop, which waits long for what is on its way."""
    monkeypatch.setattr(timeouts, "LAST_REQUEST_S", PATIENCE_S * 2)
    server.begin_to_stop()
    await until(lambda: server.hub.is_ending)


async def test_a_request_during_shutdown_is_the_last_on_its_connection(
    kept: tuple[Inside, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, http = kept
    await begin_to_stop(server, monkeypatch)

    answer = await http.post("/v1/threads")
    await server.running

    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


async def test_a_probe_on_an_open_connection_reports_the_shutdown(
    kept: tuple[Inside, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, http = kept
    await begin_to_stop(server, monkeypatch)

    answer = await http.get("/readyz")

    assert (answer.status_code, list(answer.json()["failed"])) == (503, ["draining"])


async def test_a_websocket_opened_during_shutdown_is_closed(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving_inside(sqlite_url) as server:
        host, port = server.base_url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as line:
            await until(lambda: len(server.connections) == 1)
            await begin_to_stop(server, monkeypatch)
            async with open_socket(server.base_url, sock=line) as late:
                ended = await late.end()
            await server.running

    assert ended[0] == 1001


async def test_an_idle_connection_is_closed_soon(kept: tuple[Inside, httpx.AsyncClient]) -> None:
    server, http = kept

    await server.stop()

    with pytest.raises(httpx.ConnectError):
        await http.get("/readyz")


async def begin_request(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the head of a request, and wait until the server asks for its body of two bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /v1/threads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
    return reader, writer


async def test_a_request_that_does_not_end_is_aborted_at_its_deadline(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, "--shutdown-s", "1", folder=tmp_path) as server:
        _, writer = await begin_request(server)
        started = time.monotonic()

        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.wait)

        assert time.monotonic() - started < 15  # the default would give it 30
        writer.close()


async def test_stopping_workers_accept_no_connections(postgres_url: str, tmp_path: Path) -> None:
    with serving(postgres_url, "--workers", "2", folder=tmp_path) as server:
        reader, writer = await begin_request(server)

        server.process.send_signal(signal.SIGTERM)
        await until_refused(server)
        writer.write(b"{}")

        assert (await asyncio.wait_for(reader.read(), PATIENCE_S)).startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert await asyncio.to_thread(server.wait) == 0


async def test_a_client_that_does_not_read_cannot_hold_the_stop_up(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, folder=tmp_path) as server:
        thread_id = thread_with(server, *("x" * 250_000 for _ in range(15)))
        slow = {"max_queue": 1, "compression": None, "ping_interval": None, "close_timeout": 0.1}
        async with socket_to(server.base_url, **slow) as socket:
            for n in range(6):  # more together than the sockets on both sides take
                await socket.subscribe(ADDED, str(n), threadId=thread_id, after="0")
            await socket.texts(1)
            started = time.monotonic()

            server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.wait)

            # Well below the 30 s that a request may take, however slow the machine is.
            assert time.monotonic() - started < CLOSE_S + 15
