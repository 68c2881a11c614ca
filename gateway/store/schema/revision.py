"""The revision of a database, read without loading Alembic.

Must not be here: how a database is migrated (`migrate`).
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from gateway.errors import InvalidSetting
from gateway.store.engines.errors import is_forbidden, original_of, translate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection, Select
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

HEAD: Final = "0018"  # the last script in `migrations/`
# Up to this number, later versions only add what this program ignores; removals are numbered from the next thousand on.
LAST_SERVED: Final = "0999"


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a database, if it has been migrated at all."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select_revision()).scalar()


def select_revision() -> Select[Any]:
    """Select the revision of a database that has been migrated."""
    return select(column("version_num")).select_from(table("alembic_version"))


def is_migrated(revision: str | None) -> bool:
    """Say whether a revision has this program's tables, or later ones; revisions are numbers of equal length.

    A server continues on a database that a later version has migrated: so servers can be replaced one by one.
    """
    return (revision or "") >= HEAD


def can_be_served(revision: str | None) -> bool:
    """Say whether this program can start on a revision: its own, or one of a later version that is rolled back."""
    return HEAD <= (revision or "") <= LAST_SERVED


@asynccontextmanager
async def opened(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Connect for the duration of the block.

    Errors: InvalidSetting where the database cannot be opened, is not in UTF-8, or forbids what the block does;
    Unavailable where it is damaged, or fails in the block.
    """
    with translated():
        async with connected(engine) as connection:
            yield connection


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Connect for the duration of the block, in which errors stay the driver's: for use within `translated`.

    Errors: InvalidSetting where the database cannot be opened, or is not in UTF-8.
    """
    try:
        connection = await engine.connect()
    except (DBAPIError, OSError, TypeError, ValueError) as error:
        # The URL parses, but its host, name, user, password or an option of the driver (a TypeError) is not right.
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise InvalidSetting(f"GATEWAY_DATABASE_URL: the database cannot be opened: {reason}") from error
    async with aclosing(connection):
        await _require_utf8(connection)
        yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for the driver's in the block.

    Errors: InvalidSetting where the database forbids what the block does; Unavailable where it is damaged, or fails.
    """
    try:
        yield
    except DBAPIError as error:
        if is_forbidden(error):
            raise InvalidSetting(f"GATEWAY_DATABASE_URL: its user lacks a privilege: {original_of(error)}") from error
        if (translation := translate(error)) is error:
            raise
        raise translation from error


async def _require_utf8(connection: AsyncConnection) -> None:
    """Refuse a database of PostgreSQL that cannot store every text, or that counts bytes as characters."""
    if connection.dialect.name != "postgresql":
        return
    driver: Any = (await connection.get_raw_connection()).driver_connection
    encoding = driver.get_settings().server_encoding  # as the server reports it: no statement, no transaction
    if encoding != "UTF8":
        advice = "Create another: CREATE DATABASE threads ENCODING 'UTF8' TEMPLATE template0"
        raise InvalidSetting(f"GATEWAY_DATABASE_URL: the database has the encoding {encoding}, not UTF8. {advice}")
