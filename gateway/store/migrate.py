"""Bring a database to the tables that this program needs, or say that it is not there yet.

The scripts are Alembic's, in `migrations/`; a wheel carries them inside the package.
Must not be here: what the tables are (`tables`, and each script for its own time).
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from gateway.errors import DatabaseBehind, InvalidSetting
from gateway.store.dialect import lock_migrations, migrates_itself, open_engines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_PACKAGE = Path(__file__).parents[1]


async def migrate(url: str, revision: str = "head") -> None:
    """Bring a database to a revision, all of it or nothing; two at once wait for each other.

    Errors: DatabaseBehind where it is newer than this program; InvalidSetting where it cannot be opened; whatever the
    database says where it cannot be changed.
    """

    def run(connection: Connection) -> None:
        lock_migrations(connection)
        config = _config(connection)
        _refuse_later(ScriptDirectory.from_config(config), _revision(connection))
        if revision == "base":
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)

    engines = open_engines(url)
    try:
        async with _opened(engines.writer) as connection, connection.begin():
            await connection.run_sync(run)
    finally:
        await engines.dispose()


async def make_ready(url: str) -> None:
    """Make a database ready for use: SQLite is migrated at once, PostgreSQL must have been.

    Errors: DatabaseBehind; InvalidSetting.
    """
    if migrates_itself(url):
        await migrate(url)
    else:
        await require_head(url)


async def require_head(url: str) -> None:
    """Make sure that a database has been migrated to this program's tables.

    Errors: InvalidSetting where it cannot be opened; DatabaseBehind where it is older, empty, or newer than this
    program.
    """
    engines = open_engines(url)
    try:
        async with _opened(engines.reader) as connection:
            current = await connection.run_sync(_revision)
    finally:
        await engines.dispose()
    scripts = ScriptDirectory.from_config(_config(None))
    _refuse_later(scripts, current)
    head = scripts.get_current_head()
    if current != head:
        message = (
            f"The database is at revision {current or 'none'}, and this program needs {head}. Run: gateway migrate"
        )
        raise DatabaseBehind(message)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_later(scripts: ScriptDirectory, current: str | None) -> None:
    if current is None or current in {script.revision for script in scripts.walk_revisions()}:
        return
    message = (
        f"The database is at revision {current}, made by a later version of this program. "
        "Run: pip install --upgrade threads-gateway"
    )
    raise DatabaseBehind(message)


@asynccontextmanager
async def _opened(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    try:
        connection = await engine.connect()
    except (DBAPIError, OSError, TypeError, ValueError) as error:
        # The URL parses, but its host, name, user, password or an option of the driver (a TypeError) is not right.
        said = error.orig if isinstance(error, DBAPIError) else error
        raise InvalidSetting(f"GATEWAY_DATABASE_URL: the database cannot be opened: {said}") from error
    async with aclosing(connection):
        yield connection


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _scripts() -> Path:
    installed = _PACKAGE / "migrations"
    return installed if installed.exists() else _PACKAGE.parent / "migrations"
