"""The use cases of the database's epoch, which names one history of its threads: a restored database begins another.

Must not be here: cursors, which hold it (`follow`).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core import Store


async def renew(store: Store) -> str:
    """Begin a new epoch, and return it."""
    epoch = secrets.token_hex(8)
    await store.write(lambda transaction: transaction.add_epoch(epoch))
    return epoch
