"""What `gateway doctor` reads of a database; nothing is changed or created.

Must not be here: which of it is a problem (`cli.doctor`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select, text

from gateway.store.engines.open import open_engines
from gateway.store.schema import tables
from gateway.store.schema.revision import HEAD, opened, revision_of

_CLOCK: Final = {"postgresql": "SELECT extract(epoch FROM clock_timestamp())"}  # SQLite uses the clock of this machine


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was read of a database.

    Units: `newest` is the latest second of a message or thread, if there is one; `ahead_s` is how far the database's
    clock is ahead of ours.
    """

    revision: str | None
    newest: int | None
    ahead_s: float


async def inspect_database(url: str) -> Inspection:
    """Inspect a database; a SQLite file that does not exist would be created, so check that before.

    Errors: InvalidSetting where it cannot be opened.
    """
    engines = open_engines(url)
    try:
        async with opened(engines.reader) as connection:
            revision = await connection.run_sync(revision_of)
            ahead_s = 0.0
            if clock := _CLOCK.get(connection.dialect.name):
                ahead_s = float((await connection.execute(text(clock))).scalar_one()) - time.time()
            newest = None
            if revision is not None and revision <= HEAD:
                newest = (await connection.execute(select(func.max(tables.threads.c.last_created_at)))).scalar()
    finally:
        await engines.dispose()
    return Inspection(revision, newest, ahead_s)
