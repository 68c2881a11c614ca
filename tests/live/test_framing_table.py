"""Every case of what changes framing, over sockets: each client gets its own answers and nothing else."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.following import PATIENCE_S
from tests.framing import CASES, MARKED, Case, marked
from tests.live.inside import serving_inside
from tests.live.server import serving
from tests.nginx import nginx_before

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.live.inside import Inside
SENT: Final = ("POST", MARKED)
_WITHOUT_BODY: Final = (100, 101)


@pytest.fixture(scope="module")
async def server(new_sqlite_url: Callable[[], str]) -> AsyncIterator[Inside]:
    async with serving_inside(new_sqlite_url()) as inside:
        yield inside


@asynccontextmanager
async def connected(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("localhost" if tls else "127.0.0.1", port, ssl=tls)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


class Client:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send pieces one after the other, as long as somebody listens."""
        with suppress(OSError):
            for piece in pieces:
                self._writer.write(piece)
                await self._writer.drain()
                await asyncio.sleep(0)  # in which the server, in this same process, reads it

    async def answer(self) -> tuple[int, Any]:
        """Read one answer; none where the other side has closed."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (OSError, asyncio.IncompleteReadError):
                return 0, None
            status = int(head.split()[1])
            if status in _WITHOUT_BODY:
                return status, None
            body = await self._reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        return status, json.loads(body) if b"application/json" in head else None

    async def rest(self) -> bytes:
        """Read until the other side closes."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read()
            except OSError:
                return b""


def whole(sent: bytes) -> Iterator[bytes]:
    yield sent


def at_the_end_of_the_head(sent: bytes) -> Iterator[bytes]:
    head, end, body = sent.partition(b"\r\n\r\n")
    yield head + end
    yield body


def byte_by_byte(sent: bytes) -> Iterator[bytes]:
    return (bytes([each]) for each in sent)


def marker_of(answer: Any) -> Any:
    return answer.get("metadata", {}).get("of") if isinstance(answer, dict) else None


async def markers(port: int) -> set[Any]:
    """Name all who have made a thread."""
    found: set[Any] = set()
    after: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as http:
        while True:
            page = (await http.get("/v1/threads", params={"limit": 100, **after})).json()
            found |= {marker_of(each) for each in page["data"]}
            if not page["has_more"]:
                return found
            after = {"after": page["last_id"]}


async def answers_on(port: int, case: Case, cut: Callable[[bytes], Iterator[bytes]]) -> tuple[list[Any], Any]:
    """Send a case, and behind it the next client's request on the same connection, as a proxy does."""
    async with connected(port) as client:
        await client.send(*cut(case.sent))
        answers = [await client.answer() for _ in case.statuses]
        await client.send(marked("next", "Connection: close"))
        after = await client.answer() if case.is_open else None
        assert b"HTTP/1." not in await client.rest(), f"{case.name}: an answer that nobody has asked for"
    own = [(status, marker_of(body)) for status, body in answers]
    return own, after and (after[0], marker_of(after[1]))


@pytest.mark.parametrize("cut", [whole, at_the_end_of_the_head, byte_by_byte])
async def test_two_clients_on_one_connection_get_their_own_answers(
    server: Inside, cut: Callable[[bytes], Iterator[bytes]]
) -> None:
    port = int(server.base_url.rpartition(":")[2])
    expected, got = {}, {}
    for case in CASES:
        asked = iter(case.seen)
        own = [(status, "sender" if status >= 200 and next(asked, None) == SENT else None) for status in case.statuses]
        expected[case.name] = (own, (200, "next") if case.is_open else None)
        got[case.name] = await answers_on(port, case, cut)

    assert {name: each for name, each in got.items() if each != expected[name]} == {}
    assert await markers(port) <= {"sender", "next", None}


async def test_clients_behind_nginx_get_their_own_answers(sqlite_url: str, tmp_path: Path) -> None:
    wrong = {}
    with serving(sqlite_url, folder=tmp_path) as server, nginx_before(tmp_path, server.port) as nginx:
        async with connected(nginx.port, nginx.tls) as other:
            for case in CASES:
                async with connected(nginx.port, nginx.tls) as sender:
                    await sender.send(case.sent)
                    await sender.answer()
                    await other.send(marked("next"), marked("last"))
                    after = [(status, marker_of(body)) for status, body in (await other.answer(), await other.answer())]
                if after != [(200, "next"), (200, "last")]:
                    wrong[case.name] = after

        made = await markers(server.port)

    assert wrong == {}
    assert made <= {"sender", "behind", "next", "last", None}
