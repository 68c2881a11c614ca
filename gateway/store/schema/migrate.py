"""Migrating a database to this program's revision, and refusing one that is not migrated.

The scripts are Alembic's, in `migrations/`; a wheel contains them inside the package.
Must not be here: what the tables are (`tables`, and each script for its revision), what a server needs when its
database is ready (`ready`, `revision`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from gateway.errors import DatabaseBehind
from gateway.settings.database_url import is_sqlite
from gateway.store.engines.open import open_engines
from gateway.store.files.database_files import require_own_log, sqlite_file
from gateway.store.schema.backfill import fill_columns
from gateway.store.schema.online import LOCK_TIMEOUT, change_online, try_often
from gateway.store.schema.revision import HEAD, can_be_served, connected, opened, revision_of, translated

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PACKAGE = Path(__file__).parents[2]


async def migrate(url: str) -> None:
    """Migrate a database to this program's revision, in one transaction; concurrent migrations wait for each other.

    What would block writers is done afterwards, beside running servers: columns that may be empty meanwhile are filled
    in batches, then indexes are built: servers start when the indexes are complete (`ready`). A database that a later
    version has migrated is left as it is, if it can be served.
    Errors: Unavailable where a table is never free, or the database fails, as with a full disk; DatabaseBehind where it
    is newer than this program; InvalidSetting where it cannot be opened or changed; DatabaseDamaged.
    """
    if is_sqlite(url):
        require_own_log(sqlite_file(url))
    engines = open_engines(url)

    def run(connection: Connection) -> None:
        engines.transaction_driver.lock_migrations(connection)
        if not is_sqlite(url):  # while a change waits for a table, all others wait for the change
            connection.exec_driver_sql(f"SET LOCAL {LOCK_TIMEOUT}")
        config, current = _config(connection), revision_of(connection)
        if can_be_served(current) and current != HEAD:
            return
        _refuse_later(ScriptDirectory.from_config(config), current)
        command.upgrade(config, "head")

    async def upgrade() -> None:
        async with connected(engines.writer) as connection, connection.begin():
            await connection.run_sync(run)

    try:
        with translated():  # around the repetitions, which tell a lock by the driver's error
            await (upgrade() if is_sqlite(url) else try_often(upgrade))
            await fill_columns(engines.writer)
            if not is_sqlite(url):
                await change_online(engines.writer)
    finally:
        await engines.dispose()


async def require_head(url: str) -> None:
    """Require that a database is migrated to this program's revision.

    Errors: InvalidSetting where it cannot be opened; DatabaseBehind where it is older, empty, or too new.
    """
    engines = open_engines(url)
    try:
        async with opened(engines.reader) as connection:
            current = await connection.run_sync(revision_of)
    finally:
        await engines.dispose()
    scripts = ScriptDirectory.from_config(_config(None))
    _refuse_later(scripts, current)
    head = scripts.get_current_head()
    if current != head and not can_be_served(current):
        message = (
            f"The database is at revision {current or 'none'}, and this program needs {head}. Run: gateway migrate"
        )
        raise DatabaseBehind(message)


def _refuse_later(scripts: ScriptDirectory, current: str | None) -> None:
    if current is None or can_be_served(current) or current in {script.revision for script in scripts.walk_revisions()}:
        return
    message = (
        f"The database is at revision {current}, made by a later version of this program. "
        "Run: pip install --upgrade threads-gateway"
    )
    raise DatabaseBehind(message)


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _scripts() -> Path:
    installed = _PACKAGE / "migrations"
    return installed if installed.exists() else _PACKAGE.parent / "migrations"
