"""What a head says of what follows it: no body is read as a request, whatever protocol the head names besides."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.server import timeouts
from tests.following import PATIENCE_S
from tests.lacking import program
from tests.live.inside import serving_inside
from tests.live.subscribing import open_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.live.inside import Inside

SHORT_S: Final = 0.5
MARKED: Final = b'{"metadata":{"of":"me"}}'
SMUGGLED: Final = b"GET /v1/threads HTTP/1.1\r\nHost: localhost\r\n\r\n"
KEY: Final = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE: Final = ("GET /graphql", "Upgrade: websocket", "Connection: Upgrade", KEY)

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
async def server(new_sqlite_url: Callable[[], str]) -> AsyncIterator[Inside]:
    async with serving_inside(new_sqlite_url()) as inside:
        yield inside


@asynccontextmanager
async def connected(server: Inside) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base_url.rpartition(":")[2]))
    yield reader, writer
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def head(first: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"{first} HTTP/{version}", "Host: localhost", *headers, "", ""]).encode()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """Read one answer, and give its status and body."""
    async with asyncio.timeout(PATIENCE_S):
        lines = await reader.readuntil(b"\r\n\r\n")
        length = int(lines.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(lines.split()[1]), json.loads(await reader.readexactly(length))


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes."""
    async with asyncio.timeout(PATIENCE_S):
        return await reader.read()


async def test_a_body_after_an_upgrade_request_is_not_parsed_as_a_request(server: Inside) -> None:
    lines = ("Upgrade: x", "Connection: upgrade", f"Content-Length: {len(SMUGGLED)}")
    async with connected(server) as (reader, writer):
        writer.write(head("PUT /v1/threads", *lines))  # which is answered without its body
        assert (await answer_of(reader))[0] == 405
        writer.write(SMUGGLED + head("GET /healthz", "Connection: close"))
        answers = await all_of(reader)

    assert answers.count(b"HTTP/1.1 ") == 1
    assert b"x-request-id" in answers


async def test_a_body_that_ends_early_after_its_response_gets_no_second_response(server: Inside) -> None:
    async with connected(server) as (reader, writer):
        writer.write(head("PUT /v1/threads", "Transfer-Encoding: chunked"))  # which is answered without its body
        assert (await answer_of(reader))[0] == 405
        writer.write(b"no chunk\r\n" + SMUGGLED)

        assert await all_of(reader) == b""


@pytest.mark.parametrize("wrong", [head("GET /", "Content-Length: x"), head("CONNECT /"), b"no request\r\n"])
async def test_an_invalid_head_after_a_response_gets_its_own_response(server: Inside, wrong: bytes) -> None:
    async with connected(server) as (reader, writer):
        writer.write(head("GET /healthz"))
        assert (await answer_of(reader))[0] == 200
        writer.write(wrong)

        assert (await answer_of(reader))[0] == 400


@pytest.mark.parametrize("protocols", ["x", "h2c", "TLS/1.0", "websocket", "websocket, x", "x, websocket"])
async def test_an_unknown_upgrade_does_not_change_the_body(server: Inside, protocols: str) -> None:
    lines = (f"Upgrade: {protocols}", "Connection: keep-alive, Upgrade", f"Content-Length: {len(MARKED)}")
    async with connected(server) as (reader, writer):
        writer.write(head("POST /v1/threads", *lines) + MARKED)

        assert (await answer_of(reader))[1]["metadata"] == {"of": "me"}


async def test_curl_asks_for_http_2_and_keeps_its_body(server: Inside) -> None:
    body = '{"messages":[{"role":"user","content":"hello"}],"metadata":{"of":"curl"}}'
    command = (program("curl"), "-sS", "--http2", "-d", body, "-H", "content-type: application/json")
    url = f"{server.base_url}/v1/threads"
    curl = await asyncio.create_subprocess_exec(*command, url, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(curl.communicate(), PATIENCE_S)

    assert json.loads(out)["metadata"] == {"of": "curl"}


async def test_a_handshake_with_a_body_is_refused(server: Inside) -> None:
    async with connected(server) as (reader, writer):
        writer.write(head(*HANDSHAKE, "Sec-WebSocket-Version: 13", "Content-Length: 10") + b"0123456789" + SMUGGLED)

        assert [(await answer_of(reader))[0] for _ in range(2)] == [403, 200]  # as without


async def test_a_handshake_whose_body_does_not_arrive_ends(server: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "REQUEST_S", SHORT_S)
    async with connected(server) as (reader, writer):
        writer.write(head(*HANDSHAKE, "Sec-WebSocket-Version: 13", "Content-Length: 10"))

        await all_of(reader)


@pytest.mark.parametrize("version", ["8", "99", "13, 8", "x"])
async def test_a_handshake_of_another_version_gets_the_supported_one(server: Inside, version: str) -> None:
    async with connected(server) as (reader, writer):
        writer.write(head(*HANDSHAKE, f"Sec-WebSocket-Version: {version}") + SMUGGLED)
        lines, _, body = (await all_of(reader)).partition(b"\r\n\r\n")

    assert lines.startswith(b"HTTP/1.1 426 ")
    assert {b"sec-websocket-version: 13", b"upgrade: websocket", b"connection: upgrade"} <= set(lines.split(b"\r\n"))
    assert json.loads(body)["error"]["code"] == "websocket_version_not_supported"


async def test_messages_sent_with_the_handshake_are_received_once_it_is_open(server: Inside) -> None:
    text = b'{"type":"ping"}'
    frame = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
    lines = (*HANDSHAKE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: graphql-transport-ws")
    async with connected(server) as (reader, writer):
        writer.write(head(*lines) + frame)
        async with asyncio.timeout(PATIENCE_S):
            accepted = await reader.readuntil(b"\r\n\r\n")
            answered = await reader.readexactly(2 + len('{"type":"pong"}'))

    assert accepted.startswith(b"HTTP/1.1 101 ")
    assert answered.endswith(b'{"type":"pong"}')


async def test_a_handshake_pipelined_after_an_unanswered_request_is_refused(server: Inside) -> None:
    async with connected(server) as (reader, writer):
        writer.write(SMUGGLED + head(*HANDSHAKE, "Sec-WebSocket-Version: 13"))

        assert [(await answer_of(reader))[0] for _ in range(2)] == [200, 403]


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param(("Sec-WebSocket-Version: 13",), 400, id="a bad key"),
        pytest.param(("Sec-WebSocket-Version: 13", f"A: {'a' * 9000}"), 431, id="a line that is too long"),
    ],
)
async def test_a_handshake_that_is_wrong_is_refused_in_our_envelope(
    server: Inside, lines: tuple[str, ...], status: int
) -> None:
    async with connected(server) as (reader, writer):
        writer.write(head(*HANDSHAKE[:3], "Sec-WebSocket-Key: short", *lines) + SMUGGLED)

        assert (await answer_of(reader))[0] == status
        assert await all_of(reader) == b""


async def test_a_websocket_opens_and_closes(server: Inside) -> None:
    async with open_socket(server.base_url) as socket:
        await socket.send("connection_init")

        assert await socket.receive() == {"type": "connection_ack"}
