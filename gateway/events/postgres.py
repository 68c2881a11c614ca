"""Hints from other processes on one PostgreSQL, by LISTEN and NOTIFY.

NOTIFY is part of the transaction that changes a thread (`store.engines.postgres`), so it is sent after the commit or
not at all. Hints can be lost with the connection, so all listeners are woken once it is back.
Must not be here: SQL about threads and messages.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from gateway.events.hub import Hub

log: Final = logging.getLogger(__name__)

_FIRST_WAIT_S: Final = 0.1
_MAX_WAIT_S: Final = 5.0
_ALIVE_S: Final = 20.0  # interval of the check that a silent connection is alive


async def listen(url: str, channel: str, hub: Hub) -> None:
    """Pass hints to the hub until cancelled; a lost connection is opened again.

    LISTEN occupies its connection, so this one is not from the pool.
    """
    url = url.replace("postgresql+asyncpg://", "postgresql://", 1)  # the driver does not accept its own name
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            await _listen_once(url, channel, hub)
            wait_s = _FIRST_WAIT_S
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            log.warning("no hints from PostgreSQL for %.1f s: %s", wait_s, error)
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _MAX_WAIT_S)


async def _listen_once(url: str, channel: str, hub: Hub) -> None:
    def on_notify(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        project_id, _, thread_id = str(payload).partition(" ")
        hub.wake([(project_id, thread_id)])

    connection = await asyncpg.connect(url)
    try:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        await connection.add_listener(channel, on_notify)
        hub.wake_all()
        while not lost.is_set():
            try:
                await asyncio.wait_for(lost.wait(), _ALIVE_S)
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=_ALIVE_S)
    finally:
        connection.terminate()
