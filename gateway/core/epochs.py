"""The use cases of the database's epoch, which names one history of its threads: a restored database begins another.

Must not be here: cursors, which hold it (`follow`).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.events.hub import Hub
    from gateway.store.reads import Reads

CHECK_S: Final = 1.0  # how long a follower may continue after the database was restored
_DIGITS: Final = 16


async def renew(store: Store) -> str:
    """Begin a new epoch, and return it."""
    epoch = secrets.token_hex(8)
    await store.write(lambda transaction: transaction.add_epoch(epoch))
    return epoch


async def current(reads: Reads, hub: Hub) -> str:
    """Return the epoch as cursors have it: known while there are followers, else read."""
    if hub.epoch is None:
        hub.epoch = await _read(reads)
    return hub.epoch


async def watch(store: Store, hub: Hub) -> None:
    """Check each second whether another epoch has begun, while there are followers.

    Errors: Unavailable.
    """
    while True:
        await asyncio.sleep(CHECK_S)
        if not hub.has_listeners:
            hub.epoch = None
            continue
        async with store.read() as reads:
            hub.change_epoch(await _read(reads))


async def _read(reads: Reads) -> str:
    return hashlib.sha256((await reads.read_epoch()).encode()).hexdigest()[:_DIGITS]
