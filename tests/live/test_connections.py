"""Connections that bring too much, come too slowly, or speak no HTTP, and those that only look like it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from gateway.domain.principal import Principal, Reach
from gateway.server import timeouts
from gateway.server.http_protocol import MAX_HEAD, MAX_HEADERS, MAX_TARGET
from tests.following import PATIENCE_S, make_thread
from tests.live.inside import serving_inside
from tests.live.subscribing import ADDED, events_of, socket_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.live.inside import Inside

pytestmark = pytest.mark.counted

WHO: Final = Principal(Reach("default"))
SHORT_S: Final = 0.5
HOST: Final = b"Host: localhost\r\n"
CREATE: Final = b"POST /v1/threads HTTP/1.1\r\n" + HOST
LIST: Final = b"GET /v1/threads HTTP/1.1\r\n" + HOST + b"\r\n"

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
async def server(new_sqlite_url: Callable[[], str]) -> AsyncIterator[Inside]:
    async with serving_inside(new_sqlite_url()) as inside:
        yield inside


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients have less time than a test."""
    monkeypatch.setattr(timeouts, "REQUEST_S", SHORT_S)


@asynccontextmanager
async def connected(server: Inside) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base_url.rpartition(":")[2]))
    yield reader, writer
    writer.close()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes."""
    async with asyncio.timeout(PATIENCE_S):
        return await reader.read()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """Read one answer, and give its status and body."""
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def refusal_of(server: Inside, *pieces: bytes) -> tuple[int, str]:
    """Send pieces, and give the status and code of the answer after which the server closes."""
    async with connected(server) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
        head, _, body = (await all_of(reader)).partition(b"\r\n\r\n")
    assert b"content-type: application/json\r\n" in head
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize(
    ("head", "refused"),
    [
        pytest.param(b"hello\r\n\r\n", (400, "invalid_http"), id="no HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400, "invalid_http"), id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\nBad Name: a\r\n\r\n", (400, "invalid_http"), id="a header with a space"),
        pytest.param(CREATE + b"Content-Length: x\r\n\r\n", (400, "invalid_http"), id="a length that is none"),
        pytest.param(
            CREATE + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            (400, "invalid_http"),
            id="two lengths",
        ),
        pytest.param(CREATE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", (400, "invalid_http"), id="a bad chunk"),
        pytest.param(
            b"GET /" + b"a" * MAX_TARGET + b" HTTP/1.1\r\n" + HOST + b"\r\n", (414, "url_too_long"), id="a long URL"
        ),
        pytest.param(CREATE + b"A: " + b"a" * MAX_HEAD + b"\r\n\r\n", (431, "headers_too_large"), id="a long header"),
        pytest.param(CREATE + b"A: a\r\n" * MAX_HEADERS + b"\r\n", (431, "headers_too_large"), id="many headers"),
        pytest.param(
            CREATE + b"".join(b"A%d: %b\r\n" % (n, b"a" * 1024) for n in range(64)) + b"\r\n",
            (431, "headers_too_large"),
            id="headers that are long together",
        ),
    ],
)
async def test_an_unparsable_request_is_refused_in_the_error_envelope(
    server: Inside, head: bytes, refused: tuple[int, str]
) -> None:
    assert await refusal_of(server, head) == refused


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        pytest.param(CREATE + b"A: ", b"a" * 4096, id="a header"),
        pytest.param(CREATE, b"a" * 4096, id="the name of a header"),
        pytest.param(CREATE + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: ", b"a" * 4096, id="a trailer"),
        pytest.param(CREATE + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 4096, id="an extension of a chunk"),
    ],
)
async def test_a_request_that_does_not_end_is_cancelled(server: Inside, begun: bytes, piece: bytes) -> None:
    async with connected(server) as (reader, writer):
        writer.write(begun)
        answer = asyncio.create_task(answer_of(reader))
        while not answer.done():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        status, refused = await answer

    assert (status, refused["error"]["code"]) == (431, "headers_too_large")


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_sends_on_after_a_refusal_is_disconnected(
    server: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "CLOSE_S", SHORT_S)
    async with connected(server) as (reader, writer):
        writer.write(b"hello\r\n\r\n")
        await all_of(reader)

        with pytest.raises(ConnectionError):
            await until_cut_off(writer)


async def until_cut_off(writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0)


async def test_headers_at_the_limits_are_accepted(server: Inside) -> None:
    many = b"".join(b"A%d: %b\r\n" % (n, b"a" * 600) for n in range(MAX_HEADERS - 1))
    async with connected(server) as (reader, writer):
        writer.write(b"GET /v1/threads?" + b"a" * 4_000 + b" HTTP/1.1\r\n" + HOST + many + b"\r\n")

        assert (await answer_of(reader))[0] == 200


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"POST /v1", id="a line"),
        pytest.param(CREATE + b"A: ", id="a header"),
        pytest.param(CREATE + b"Content-Length: 2\r\n\r\n{", id="a body"),
        pytest.param(CREATE + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", id="a body in chunks"),
    ],
)
async def test_an_incomplete_request_gets_an_error(server: Inside, begun: bytes) -> None:
    assert await refusal_of(server, begun) == (408, "request_timeout")


@pytest.mark.usefixtures("impatient")
async def test_a_silent_connection_gets_no_response(server: Inside) -> None:
    async with connected(server) as (reader, _):
        assert await all_of(reader) == b""


@pytest.mark.usefixtures("impatient")
async def test_a_slow_second_request_is_disconnected(server: Inside) -> None:
    async with connected(server) as (reader, writer):
        writer.write(LIST)
        await answer_of(reader)
        writer.write(b"\r\n")

        assert (await answer_of(reader))[0] == 408


@pytest.mark.usefixtures("impatient")
async def test_a_body_that_arrives_after_its_response_gets_no_second_response(server: Inside) -> None:
    async with connected(server) as (reader, writer):
        writer.write(CREATE.replace(b"POST", b"PUT") + b"Content-Length: 9\r\n\r\n{")
        status, _ = await answer_of(reader)

        assert (status, await all_of(reader)) == (405, b"")


@pytest.mark.usefixtures("impatient")
async def test_the_deadline_of_a_body_grows_with_the_bytes_received(server: Inside) -> None:
    body = b"{}".ljust(4_000)
    async with connected(server) as (reader, writer):
        writer.write(CREATE + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1])
        await asyncio.sleep(1.2 * SHORT_S)
        writer.write(body[-1:])

        assert (await answer_of(reader))[0] == 200


@pytest.mark.usefixtures("impatient")
async def test_a_follower_is_not_disconnected(server: Inside) -> None:
    thread_id = await make_thread(server.store, WHO)
    body = {"query": ADDED, "variables": {"threadId": thread_id}}
    async with (
        socket_to(server.base_url) as socket,
        httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http,
        http.stream("POST", "/graphql", json=body, headers={"accept": "text/event-stream"}) as response,
    ):
        await socket.subscribe(ADDED, threadId=thread_id)
        events = events_of(response)
        await anext(events)
        await asyncio.sleep(1.2 * SHORT_S)
        await http.post(f"/v1/threads/{thread_id}/messages", json={"role": "user", "content": "late"})

        assert await socket.texts(1) == ["late"]
        assert "late" in str(await anext(events))


async def test_a_refusal_waits_for_the_previous_response(server: Inside) -> None:
    async with connected(server) as (reader, writer):
        writer.write(LIST + LIST + b"no HTTP\r\n\r\n")
        answers = await all_of(reader)

    assert answers.count(b"HTTP/1.1 ") == answers.count(b"content-length") <= 2
