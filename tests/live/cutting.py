"""Bad lines: one that breaks, or falls silent, after so many bytes of answer; one that is cut at will."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@asynccontextmanager
async def bad_line_to(
    port: int, after_bytes: int = 0, *, is_silent: bool = False, times: int | None = None, response: bytes = b""
) -> AsyncIterator[str]:
    """Lead a port of our own to another, and give its URL. A silent connection stays open, and nothing more comes.

    So many connections are bad, or all. With a response a bad one gets that, and leads nowhere.
    """
    bad = iter(range(sys.maxsize if times is None else times))

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None) -> None:
        with suppress(OSError):
            while piece := await reader.read(1024 if limit is None else limit):
                writer.write(piece)
                await writer.drain()
                if limit is not None:
                    limit -= len(piece)
                if limit == 0:
                    break
            while is_silent and await reader.read(1024):
                pass

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_bad = next(bad, None) is not None
        if is_bad and response:
            await reader.read(65_536)
            writer.write(response)
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        there = asyncio.create_task(carry(reader, far_writer, None))
        back = asyncio.create_task(carry(far_reader, writer, after_bytes if is_bad else None))
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        for task in (there, back):
            task.cancel()
        for each in (writer, far_writer):
            each.close()
            with suppress(OSError):
                await each.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Line:
    """A line to a PostgreSQL, which can be cut or silenced, and mended; until then nobody gets through.

    While it is silent, connections stay, and what is sent does not arrive.
    """

    def __init__(self, database_url: str) -> None:
        self._to = make_url(database_url)
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._carries = asyncio.Event()
        self._carries.set()
        self.url = ""

    def cut(self) -> None:
        """Break all connections."""
        self._is_cut = True
        for each in list(self._writers):
            each.transport.abort()
        self._carries.set()  # what was held back ends with its connection

    def silence(self) -> None:
        """Carry nothing more, either way."""
        self._carries.clear()

    def mend(self) -> None:
        """Let new connections through, and carry what was sent meanwhile."""
        self._is_cut = False
        self._carries.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead one connection on."""
        if self._is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await self._connect()
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                await self._carries.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = self._to.port or 5432
        host = self._to.host or str(self._to.query.get("host") or "127.0.0.1")
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)


@asynccontextmanager
async def line_to(database_url: str) -> AsyncIterator[Line]:
    """Lead a port of our own to a PostgreSQL."""
    line = Line(database_url)
    server = await asyncio.start_server(line.connected, "127.0.0.1", 0)
    async with server:
        here = make_url(database_url).set(host="127.0.0.1", port=server.sockets[0].getsockname()[1], query={})
        line.url = here.render_as_string(hide_password=False)
        yield line
        line.cut()


@asynccontextmanager
async def forgetful_line_to(port: int, on_loss: Callable[[], object] = lambda: None) -> AsyncIterator[str]:
    """Lead a port of our own to a server, and give its URL: of each POST that is new, the answer gets lost.

    `on_loss` is called when it has come.
    """
    met: set[bytes] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = await _read_message(reader)
                far_writer.write(request)
                answer = await _read_message(far_reader)
                what = request.partition(b"\r\n")[0] + request.partition(b"\r\n\r\n")[2]
                if what.startswith(b"POST") and what not in met:
                    met.add(what)
                    on_loss()
                    break
                writer.write(answer)
        for each in (writer, far_writer):
            each.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """Read the head of a request or an answer, and its body by the length that it says."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
    return head + (await reader.readexactly(int(length[1])) if length else b"")
