"""The use cases of a server's health: what keeps it from serving, and the writes that detect a recovery.

Must not be here: how probes are answered (`web.health`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gateway.core.messages import from_new
from gateway.domain.ids import new_thread_id
from gateway.domain.message import NewMessage, Role
from gateway.domain.principal import Reach
from gateway.domain.thread import Thread
from gateway.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core import Store
    from gateway.store.writes import Writes

log: Final = logging.getLogger(__name__)

TRY_S: Final = 1.0  # the interval and the time limit of the writes that a server tries after a fault
_MB: Final = 1_000_000
_BEHIND: Final = "The database schema is older than this version needs. Run: gateway migrate"


class _UndoneError(Exception):
    """Rolls a transaction back that has succeeded."""


async def failures(store: Store, min_free_mb: int) -> Mapping[str, str]:
    """Say what keeps a server from serving, by the names that operators see; nothing if it is ready.

    Errors: Unavailable where the database does not answer.
    """
    if not await store.is_migrated():
        return {"migrations": _BEHIND}
    failed = {}
    if store.fault is not None:
        failed["writes"] = store.fault
    free = await store.free_bytes()
    if free is not None and free < min_free_mb * _MB:
        failed["disk"] = f"{free // _MB} MB are free, less than GATEWAY_MIN_FREE_MB ({min_free_mb})."
    return failed


async def watch_database(store: Store) -> None:
    """Break connections that are stuck, and after a fault try a write each second until one succeeds.

    A load balancer sends no writes meanwhile.
    """
    while True:
        await asyncio.sleep(TRY_S)
        store.abort_stuck()
        if store.fault is None:
            continue
        try:
            async with asyncio.timeout(TRY_S):
                await store.try_write()
        except (Unavailable, TimeoutError) as error:
            log.debug("a write of the server's own failed: %s", error)  # the store logs the cause


async def try_creation(store: Store) -> None:
    """Create a thread with a message, in a transaction that is rolled back.

    Errors: Unavailable.
    """
    now = int(time.time())
    thread = Thread(new_thread_id(), now, metadata_json="{}", tool_resources_json="{}", message_count=1, owner=None)
    message = from_new(thread.id, NewMessage(Role.USER, []), now)

    async def work(transaction: Writes) -> None:
        await transaction.add_thread(Reach(""), thread, [message])
        raise _UndoneError

    with suppress(_UndoneError):
        await store.write(work)
