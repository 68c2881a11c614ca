"""Refusals that a page of another origin can read, whoever writes them: with CORS headers and a request id."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from typing import TYPE_CHECKING, Final

import pytest

from gateway.server import timeouts
from gateway.server.http_protocol import MAX_HEAD, MAX_HEADERS, MAX_TARGET, ORIGIN_SEARCH_BYTES, ORIGIN_SEARCH_HEADERS
from gateway.web.origins import OriginPolicy, Origins
from tests.following import PATIENCE_S
from tests.live.inside import serving_inside
from tests.live.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.live.server import Server

PAGE: Final = b"http://localhost:3000"
OTHER: Final = b"https://evil.example"
HOST: Final = b"Host: localhost\r\n"
ORIGIN: Final = b"Origin: " + PAGE + b"\r\n"
NEXT: Final = b"Accept: */*\r\n"  # a header may go on in the next line, so it is known only when another begins
LONG_URL: Final = b"GET /graphql?query=" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST
LIST: Final = b"GET /v1/threads HTTP/1.1\r\n" + HOST
SHAKE: Final = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve to the pages of one origin."""
    given = {"GATEWAY_CORS_ORIGINS": PAGE.decode(), "GATEWAY_RATE_WRITES": "3/day"}
    with serving(None, folder=tmp_path_factory.mktemp("early"), given=given) as running:
        yield running


async def answer_to(port: int, *pieces: bytes) -> tuple[int, dict[str, str]]:
    """Send pieces, and give the status and headers of what is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    async with asyncio.timeout(PATIENCE_S):
        for piece in pieces:
            writer.write(piece)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    writer.close()
    pairs = (line.partition(": ")[::2] for line in head[1:] if line)
    return int(head[0].split()[1]), {name.lower(): value for name, value in pairs}


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        pytest.param(400, LIST + ORIGIN + NEXT + b"Bad Name: a\r\n\r\n", id="no HTTP"),
        pytest.param(400, LIST + ORIGIN + b"Content-Length: x\r\n\r\n", id="a length that is none"),
        pytest.param(400, LIST + ORIGIN + SHAKE[:-3] + b"\r\nSec-WebSocket-Version: 13\r\n\r\n", id="a bad handshake"),
        pytest.param(400, LIST + ORIGIN + b"Transfer-Encoding: x, chunked\r\n\r\n", id="a coding"),
        pytest.param(404, b"GET /v1/assistants HTTP/1.1\r\n" + HOST + ORIGIN + b"\r\n", id="no such path"),
        pytest.param(404, LIST + ORIGIN + SHAKE + b"Sec-WebSocket-Version: 13\r\n\r\n", id="no WebSocket there"),
        pytest.param(405, b"PUT /v1/threads HTTP/1.1\r\n" + HOST + ORIGIN + b"\r\n", id="no such method"),
        pytest.param(
            406, b"GET /graphql HTTP/1.1\r\nAccept: image/png\r\n" + HOST + ORIGIN + b"\r\n", id="nothing that we speak"
        ),
        pytest.param(
            413,
            b"POST /v1/threads HTTP/1.1\r\nContent-Length: 999999999\r\n" + HOST + ORIGIN + b"\r\n",
            id="a large body",
        ),
        pytest.param(414, LONG_URL + ORIGIN + b"\r\n", id="a long URL"),
        pytest.param(414, LONG_URL + ORIGIN + NEXT, id="a long URL, of a head that does not end"),
        pytest.param(
            414, LONG_URL + b"A: a\r\n" * (ORIGIN_SEARCH_HEADERS // 2) + ORIGIN + b"\r\n", id="and headers before"
        ),
        pytest.param(
            414,
            LONG_URL.replace(b"a", b"a" * 20) + ORIGIN + b"\r\n",
            id="a URL of most of a megabyte",
        ),
        pytest.param(
            415,
            b"POST /graphql HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n" + HOST + ORIGIN + b"\r\n{}",
            id="no JSON",
        ),
        pytest.param(421, b"GET /v1/threads HTTP/1.1\r\nHost: rebound.example\r\n" + ORIGIN + b"\r\n", id="no name"),
        pytest.param(
            421,
            b"GET /graphql HTTP/1.1\r\nHost: rebound.example\r\n"
            + ORIGIN
            + SHAKE
            + b"Sec-WebSocket-Version: 13\r\n\r\n",
            id="a WebSocket to another name",
        ),
        pytest.param(426, LIST + ORIGIN + SHAKE + b"Sec-WebSocket-Version: 12\r\n\r\n", id="another WebSocket"),
        pytest.param(431, LIST + ORIGIN + b"A: a\r\n" * MAX_HEADERS + b"\r\n", id="many headers behind it"),
        pytest.param(431, LIST + b"A: a\r\n" * (MAX_HEADERS + 10) + ORIGIN + b"\r\n", id="many headers before it"),
        pytest.param(431, LIST + (b"A: " + b"a" * 9_000 + b"\r\n") * 9 + ORIGIN + b"\r\n", id="long headers before it"),
        pytest.param(
            431,
            LIST + ORIGIN + b"A: " + b"a" * 9_000 + b"\r\n" + SHAKE + b"Sec-WebSocket-Version: 13\r\n\r\n",
            id="a long line of a handshake",
        ),
    ],
)
async def test_a_page_of_an_allowed_origin_can_read_an_error(server: Server, status: int, request_: bytes) -> None:
    answered, headers = await answer_to(server.port, request_)

    assert answered == status
    assert headers["access-control-allow-origin"] == PAGE.decode()
    assert headers["vary"] == "origin"
    assert re.fullmatch("req_[0-9a-f]{32}", headers["x-request-id"])
    assert "x-request-id" in headers["access-control-expose-headers"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        pytest.param(400, LIST + b"Origin: %b\r\nBad Name: a\r\n\r\n", id="no HTTP"),
        pytest.param(403, b"POST /v1/threads HTTP/1.1\r\n" + HOST + b"Origin: %b\r\n\r\n", id="a page of another site"),
        pytest.param(414, LONG_URL + b"Origin: %b\r\n\r\n", id="a long URL"),
        pytest.param(426, LIST + SHAKE + b"Origin: %b\r\nSec-WebSocket-Version: 12\r\n\r\n", id="another WebSocket"),
        pytest.param(431, LIST + b"A: a\r\n" * MAX_HEADERS + b"Origin: %b\r\n\r\n", id="many headers"),
    ],
)
async def test_another_origin_cannot_read_an_early_refusal_and_is_not_echoed(
    server: Server, status: int, request_: bytes
) -> None:
    answered, headers = await answer_to(server.port, request_.replace(b"%b", OTHER))

    assert answered == status
    assert [name for name in headers if name.startswith("access-control-")] == []
    assert OTHER.decode() not in str(headers)
    assert headers["vary"] == "origin"
    assert headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("status", "pieces"),
    [
        pytest.param(414, (b"GET /" + b"a" * (ORIGIN_SEARCH_BYTES + MAX_TARGET),), id="a URL that does not end"),
        pytest.param(414, (LONG_URL + b"A: a\r\n" * (ORIGIN_SEARCH_HEADERS + 10),), id="headers that do not end"),
        pytest.param(414, (LONG_URL + b"A: " + b"a" * 8 * MAX_HEAD,), id="a header that does not end"),
        pytest.param(
            431, (LIST + b"A: a\r\n" * (MAX_HEADERS + ORIGIN_SEARCH_HEADERS + 10),), id="too many headers, without end"
        ),
    ],
)
async def test_a_refused_head_is_read_only_so_far_for_its_origin(
    server: Server, status: int, pieces: tuple[bytes, ...]
) -> None:
    answered, headers = await answer_to(server.port, *pieces)

    assert answered == status
    assert headers["x-request-id"].startswith("req_")
    assert "access-control-allow-origin" not in headers


async def test_the_origin_of_a_previous_request_is_not_reused(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(PATIENCE_S):
        writer.write(LIST + ORIGIN + b"\r\n")
        first = await reader.readuntil(b"}")
        writer.write(b"\0\r\n\r\n")
        second = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    assert b"access-control-allow-origin: " + PAGE in first
    assert b"400 Bad Request" in second
    assert b"access-control-allow-origin" not in second


async def test_a_request_after_an_early_refusal_keeps_its_headers(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(PATIENCE_S):
        writer.write(b"POST /graphql HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n" + HOST + b"\r\n")
        first = await reader.readuntil(b"}]}")
        writer.write(b"{}" + LIST + ORIGIN + b"\r\n")
        second = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    assert b" 415 " in first
    assert b" 200 " in second
    assert b"access-control-allow-origin: " + PAGE in second


async def test_a_refusal_is_found_in_the_log_by_its_id(server: Server) -> None:
    _, headers = await answer_to(server.port, LONG_URL + ORIGIN + b"\r\n")

    async with asyncio.timeout(PATIENCE_S):
        while headers["x-request-id"] not in server.stderr:  # noqa: ASYNC110  (another process writes it)
            await asyncio.sleep(0.01)
    [line] = [each for each in server.stderr.splitlines() if headers["x-request-id"] in each]
    assert "414" in line


async def test_a_rate_limited_page_can_read_the_error(server: Server) -> None:
    made = b"POST /v1/threads HTTP/1.1\r\nContent-Length: 0\r\n" + HOST + ORIGIN + b"\r\n"
    answers = [await answer_to(server.port, made) for _ in range(4)]

    status, headers = answers[-1]
    assert (status, headers["access-control-allow-origin"]) == (429, PAGE.decode())
    assert headers["x-request-id"].startswith("req_")


async def test_the_reason_why_a_server_is_not_ready_is_readable(tmp_path: Path) -> None:
    given = {"GATEWAY_CORS_ORIGINS": PAGE.decode()}
    with serving(f"sqlite:///{tmp_path / 'threads.db'}", folder=tmp_path, given=given) as server:
        with sqlite3.connect(tmp_path / "threads.db") as database:
            database.execute("UPDATE alembic_version SET version_num = '0001'")
        database.close()
        status, headers = await answer_to(server.port, b"GET /readyz HTTP/1.1\r\n" + HOST + ORIGIN + b"\r\n")

    assert (status, headers["access-control-allow-origin"]) == (503, PAGE.decode())
    assert headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("status", "begun"),
    [
        pytest.param(408, LIST + ORIGIN + NEXT, id="a head"),
        pytest.param(
            408, b"POST /v1/threads HTTP/1.1\r\nContent-Length: 9\r\n" + HOST + ORIGIN + b"\r\n{", id="a body"
        ),
        pytest.param(414, b"GET /" + b"a" * MAX_TARGET, id="a head that was too long before it was too slow"),
    ],
)
async def test_a_slow_client_can_read_the_error(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, status: int, begun: bytes
) -> None:
    monkeypatch.setattr(timeouts, "REQUEST_S", 0.5)
    async with serving_inside(sqlite_url, origin_policy=OriginPolicy(origins=Origins(PAGE.decode()))) as inside:
        answered, headers = await answer_to(int(inside.base_url.rpartition(":")[2]), begun)

    assert answered == status
    assert headers.get("access-control-allow-origin") == (PAGE.decode() if ORIGIN in begun else None)
    assert headers["x-request-id"].startswith("req_")
