"""The revision of a database, read without loading Alembic.

Must not be here: how a database is migrated (`migrate`).
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from gateway.errors import InvalidSetting
from gateway.store.engines.errors import translate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection, Select
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

HEAD: Final = "0018"  # the last script in `migrations/`
# Until here later versions only add what this program ignores; what takes away is numbered from the next thousand on.
LAST_SERVED: Final = "0999"


def revision_of(connection: Connection) -> str | None:
    """Read which revision a database is at, where it has been migrated at all."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select_revision()).scalar()


def select_revision() -> Select[Any]:
    """Select the revision of a database that has been migrated."""
    return select(column("version_num")).select_from(table("alembic_version"))


def is_migrated(revision: str | None) -> bool:
    """Say whether a revision has this program's tables, or a later one's; revisions are numbers of one length.

    A server goes on beside a database that a later version has migrated: so all can be replaced one by one.
    """
    return (revision or "") >= HEAD


def can_be_served(revision: str | None) -> bool:
    """Say whether this program can start on a revision: its own, or one of a later version that is rolled back."""
    return HEAD <= (revision or "") <= LAST_SERVED


@asynccontextmanager
async def opened(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Connect for the duration of the block.

    Errors: InvalidSetting where the database cannot be opened; Unavailable where it is damaged, or fails in the block.
    """
    try:
        connection = await engine.connect()
    except (DBAPIError, OSError, TypeError, ValueError) as error:
        # The URL parses, but its host, name, user, password or an option of the driver (a TypeError) is not right.
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise InvalidSetting(f"GATEWAY_DATABASE_URL: the database cannot be opened: {reason}") from error
    async with aclosing(connection):
        try:
            yield connection
        except DBAPIError as error:
            if (translation := translate(error)) is error:
                raise
            raise translation from error
