"""Preparing a database before a server uses it; one that is at the right revision needs no Alembic.

Must not be here: how a database is migrated (`migrate`).
"""

from __future__ import annotations

from gateway.store.engines.database_files import require_own_log, sqlite_file
from gateway.store.engines.open import migrates_itself, open_engines
from gateway.store.schema.revision import can_be_served, opened, revision_of


async def make_ready(url: str) -> None:
    """Make a database ready for use: SQLite is migrated here, PostgreSQL must have been migrated.

    Errors: DatabaseBehind; DatabaseDamaged; InvalidSetting.
    """
    if migrates_itself(url):
        require_own_log(sqlite_file(url))
    engines = open_engines(url)
    try:
        async with opened(engines.writer) as connection:
            is_ready = can_be_served(await connection.run_sync(revision_of))
    finally:
        await engines.dispose()
    if is_ready:
        return
    from gateway.store.schema.migrate import migrate, require_head  # noqa: PLC0415  (a tenth of what a server loads)

    await (migrate(url) if migrates_itself(url) else require_head(url))
