"""Hints carried by PostgreSQL's LISTEN and NOTIFY, over one connection that both sends and receives.

A commit with NOTIFY holds one lock of the whole server until it is on disk and at the replicas. So hints have commits
of their own, which wait for neither: if a crash of the database loses a hint, no data is lost.
Must not be here: SQL about threads and messages.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg
import orjson

from gateway.domain.change import Hint
from gateway.events import payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection

    from gateway.events.exchange import Receive, Send

    Connect = Callable[[], Awaitable[asyncpg.Connection]]

_PROBE_S: Final = 1.0
_PROCESS: Final = "SELECT pg_backend_pid()"
CHANNEL: Final = "gateway_hints"
# Servers of earlier versions send and receive one thread at a time here. They may run beside this one in an upgrade.
OLD_CHANNEL: Final = "gateway_changes"
# One text: to write two arrays takes the driver as long as everything else here.
_NOTIFY: Final = "SELECT pg_notify(each ->> 0, each ->> 1) FROM json_array_elements(CAST($1::text AS json)) AS each"


@asynccontextmanager
async def connected(connect: Connect, receive: Receive, on_lost: Callable[[], None]) -> AsyncIterator[Send]:
    """Send and receive hints for the duration of the block; for the parameters see `exchange.Carrier`.

    LISTEN lasts as long as its connection, so this one is not from the pool.
    """
    try:
        connection = await connect()
        try:
            await connection.execute("SET synchronous_commit = off; SET application_name = 'gateway hints'")
            connection.add_termination_listener(lambda _connection: on_lost())
            on_notify = _listener(receive, connection.get_server_pid())
            for channel in (CHANNEL, OLD_CHANNEL):
                await connection.add_listener(channel, on_notify)

            async def send(hints: Collection[Hint]) -> None:
                own = [(CHANNEL, each) for each in payload.dump(hints)]
                old = [(OLD_CHANNEL, f"{each.project_id} {each.thread_id}") for each in hints]
                await connection.fetch(_NOTIFY, orjson.dumps(own + old).decode())

            yield send
        finally:
            connection.terminate()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise ConnectionError(f"no hints from PostgreSQL: {error}") from error


def _listener(receive: Receive, own_pid: int) -> Callable[[object, int, str, object], None]:
    """Return the function that receives notifications; each process is heard on one of its channels only."""
    last_pid = own_pid

    def on_notify(_connection: object, pid: int, channel: str, text: object) -> None:
        nonlocal last_pid
        if channel == CHANNEL:
            last_pid = pid
            receive(() if pid == own_pid else payload.load(str(text)))
        elif pid not in (last_pid, own_pid):  # what one commit notifies of arrives together, ours on CHANNEL first
            project_id, _, thread_id = str(text).partition(" ")
            receive([Hint(project_id, thread_id)])

    return on_notify


async def refuse_pooler(connect: Connect) -> None:
    """Refuse a pooler in transaction mode, such as PgBouncer's: it changes the connection, so LISTEN is lost.

    While another client is within a transaction, such a pooler has to give another connection, or none.
    Errors: OSError; whatever the database says where it refuses a connection.
    """
    listening, other = await connect(), await connect()
    try:
        before = await listening.fetchval(_PROCESS)
        async with other.transaction(), asyncio.timeout(_PROBE_S):
            await other.fetchval(_PROCESS)
            is_kept = before == await listening.fetchval(_PROCESS)
    except (TimeoutError, asyncpg.PostgresError):
        is_kept = False
    finally:
        listening.terminate()
        other.terminate()
    if not is_kept:
        raise ConnectionError("a pooler changes the connection with each transaction")
