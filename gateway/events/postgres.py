"""Hints from other processes on one PostgreSQL, by LISTEN and NOTIFY.

NOTIFY is part of the transaction that changes a thread (`store.engines.postgres`), so it is sent after the commit or
not at all. Hints can be lost with the connection, so all followers are woken once it is back;
`background` connects again.
Must not be here: SQL about threads and messages.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.events.hub import Hub

ALIVE_S: Final = 20.0  # interval of the check that a silent connection is alive, and its time limit


class Listener:
    """Passes hints to the hub. LISTEN occupies its connection, so this one is not from the pool."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], channel: str, hub: Hub) -> None:
        self._connect = connect
        self._channel = channel
        self._hub = hub
        self.is_listening = False

    async def run(self) -> None:
        """Listen until the connection is lost or refused.

        Errors: ConnectionError.
        """
        try:
            await self._listen()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise ConnectionError(f"no hints from PostgreSQL: {error}") from error
        raise ConnectionError("no hints from PostgreSQL: the connection was lost")

    async def _listen(self) -> None:
        connection = await self._connect()
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(self._channel, self._on_notify)
            self.is_listening = True
            self._hub.wake_all()
            while not lost.is_set():
                try:
                    await asyncio.wait_for(lost.wait(), ALIVE_S)
                except TimeoutError:
                    await connection.execute("SELECT 1", timeout=ALIVE_S)
        finally:
            self.is_listening = False
            connection.terminate()

    def _on_notify(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        project_id, _, thread_id = str(payload).partition(" ")
        self._hub.wake([(project_id, thread_id)])
