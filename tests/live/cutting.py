"""A bad line: every connection through it breaks after so many bytes of answer, wherever in an event that is."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def bad_line_to(port: int, after_bytes: int) -> AsyncIterator[str]:
    """Lead a port of our own to another, and give its URL."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None) -> None:
        with suppress(OSError):
            while piece := await reader.read(1024 if limit is None else limit):
                writer.write(piece)
                await writer.drain()
                if limit is not None:
                    limit -= len(piece)
                if limit == 0:
                    return

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        there = asyncio.create_task(carry(reader, far_writer, None))
        back = asyncio.create_task(carry(far_reader, writer, after_bytes))
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
