"""A line on this machine that delays what goes through it, as a long one would.

Must not be here: what is sent through it.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE: Final = 65_536


@contextmanager
def delayed(port: int, delay_s: float) -> Iterator[int]:
    """Lead another port to a port, each piece arriving so much later, and give its number."""
    started: list[int] = []
    is_started, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        server = await asyncio.start_server(partial(_connected, port, delay_s), "127.0.0.1", 0)
        started.append(server.sockets[0].getsockname()[1])
        is_started.set()
        async with server:
            await server.serve_forever()

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)

    serving = loop.create_task(serve())
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    is_started.wait()
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(1)


async def _connected(port: int, delay_s: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_carry(reader, far_writer, delay_s), _carry(far_reader, writer, delay_s))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Write each piece later; pieces of one line stay in order, since all wait as long."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            loop.call_later(delay_s, writer.write, piece)
    loop.call_later(delay_s, writer.close)
