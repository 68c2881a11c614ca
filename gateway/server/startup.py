"""What is found out of the database before a process serves it.

Must not be here: what is served (`serve`).
"""

from __future__ import annotations

import asyncio

from gateway.core import api_keys
from gateway.store.schema.ready import make_ready
from gateway.store.store import opened_store


def any_key_made(database_url: str) -> bool:
    """Say whether an API key was ever made, and make the database ready for that.

    Errors: DatabaseBehind; Unavailable.
    """

    async def ask() -> bool:
        await make_ready(database_url)
        async with opened_store(database_url) as store:
            return await api_keys.any_made(store)

    return asyncio.run(ask())
