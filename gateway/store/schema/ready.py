"""Preparing a database before a server uses it; one that is at the right revision needs no Alembic.

Must not be here: how a database is migrated (`migrate`).
"""

from __future__ import annotations

from typing import Final

from gateway.errors import DatabaseBehind
from gateway.settings.database_url import is_sqlite
from gateway.store.engines.open import open_engines
from gateway.store.files.database_files import require_own_log, sqlite_file
from gateway.store.schema.online import is_complete
from gateway.store.schema.revision import HEAD, can_be_served, opened, revision_of

_INCOMPLETE: Final = "The migration of the database is running, or was interrupted. Run: gateway migrate"


async def make_ready(url: str) -> None:
    """Make a database ready for use: SQLite is migrated here, PostgreSQL must have been migrated.

    Errors: DatabaseBehind; DatabaseDamaged; InvalidSetting.
    """
    if is_sqlite(url):
        require_own_log(sqlite_file(url))
    engines = open_engines(url)
    try:
        async with opened(engines.writer) as connection:
            revision = await connection.run_sync(revision_of)
            # A later version may have replaced an index.
            if revision == HEAD and not is_sqlite(url) and not await is_complete(connection):
                raise DatabaseBehind(_INCOMPLETE)
    finally:
        await engines.dispose()
    if can_be_served(revision):
        return
    from gateway.store.schema.migrate import migrate, require_head  # noqa: PLC0415  (a tenth of what a server loads)

    await (migrate(url) if is_sqlite(url) else require_head(url))
