"""Changes of PostgreSQL's tables that would block writers in a migration: each by itself, after the migration.

They can be repeated: the next `gateway migrate` completes an interrupted one.
Must not be here: changes that no writer has to wait for (the scripts in `migrations/`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from gateway.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_LOCK: Final = 1_952_805_747  # not that of migrations: an index would wait for those that wait for it
_WAIT_S: Final = 0.2
_TRIES: Final = 100  # writers wait for each, for as long as `lock_timeout`
LOCK_TIMEOUT: Final = "lock_timeout = '500ms'"
_KEY: Final = ["project_id", "seq"]
_LISTED: Final = ("threads", "messages", "deleted_threads", "deleted_messages")
_IS_VALID: Final = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{}')"
_INVALID: Final = """SELECT name FROM unnest(string_to_array('{}', ' ')) AS name
WHERE NOT EXISTS (SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(name) AND indisvalid)"""
_OF_KEY: Final = "project_id, idempotency_scope, idempotency_key"
_OF_NEWS: Final = "project_id, thread_id, position, role, author"
_INDEXES: Final = {  # each of some tables
    "uq_{}_idempotency_key": (
        (*_LISTED, "assistants"),
        f"UNIQUE INDEX CONCURRENTLY {{}} ON {{}} ({_OF_KEY}) WHERE idempotency_key IS NOT NULL",
    ),
    # Rows of the previous version have no number, so it is built at once.
    "ix_{}_change": (_LISTED, "INDEX CONCURRENTLY {} ON {} (project_id, change_number) WHERE change_number > 0"),
    "ix_{}_news": (
        ("messages",),
        f"INDEX CONCURRENTLY {{}} ON {{}} ({_OF_NEWS}) WHERE role = 'assistant' OR author IS NOT NULL",
    ),
    "ix_{}_filling": (("threads",), "INDEX CONCURRENTLY {} ON {} (filling) WHERE filling IS NOT NULL"),
    "ix_{}_owner": (("deleted_threads",), "INDEX CONCURRENTLY {} ON {} (project_id, owner) WHERE owner IS NOT NULL"),
}
_NAMES: Final = [name.format(table) for name, (tables, _) in _INDEXES.items() for table in tables]


async def is_complete(connection: AsyncConnection) -> bool:
    """Say whether all changes have been made, including those that `migrate` makes first."""
    return not (await connection.exec_driver_sql(_INVALID.format(" ".join(_NAMES)))).all()


async def change_online(writer: AsyncEngine) -> None:
    """Make all changes that have not been made.

    Errors: Unavailable where a table is never free.
    """
    async with writer.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql("SET statement_timeout = 0")
        # If one waited for the lock within PostgreSQL, the other's index would wait for it.
        while not (await connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK})")).scalar():  # noqa: ASYNC110
            await asyncio.sleep(_WAIT_S)
        try:
            await _key_threads_by_project(connection)
            for name, (tables, definition) in _INDEXES.items():
                for table in tables:
                    await _index(connection, table, name.format(table), definition)
        finally:
            await connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_LOCK})")
            await connection.exec_driver_sql("RESET ALL")


async def _key_threads_by_project(connection: AsyncConnection) -> None:
    """Add the project to the key of threads, as in all other keys, so that tables can be distributed by it."""
    if (
        await connection.run_sync(lambda sync: inspect(sync).get_pk_constraint("threads")["constrained_columns"])
        == _KEY
    ):
        return
    await connection.exec_driver_sql("DROP INDEX CONCURRENTLY IF EXISTS pk_threads_by_project")  # of an interrupted one
    await connection.exec_driver_sql(
        "CREATE UNIQUE INDEX CONCURRENTLY pk_threads_by_project ON threads (project_id, seq)"
    )
    await _change_at_once(
        connection,
        "ALTER TABLE threads DROP CONSTRAINT pk_threads, "
        "ADD CONSTRAINT pk_threads PRIMARY KEY USING INDEX pk_threads_by_project",
    )


async def _index(connection: AsyncConnection, table: str, name: str, definition: str) -> None:
    """Build an index, unless it is complete."""
    if (await connection.exec_driver_sql(_IS_VALID.format(name))).scalar():
        return
    await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # of an interrupted one
    await connection.exec_driver_sql(f"CREATE {definition.format(name, table)}")


async def _change_at_once(connection: AsyncConnection, statement: str) -> None:
    """Change a table at a moment when it is not in use; others that need it wait for half a second at most."""
    await connection.exec_driver_sql(f"SET {LOCK_TIMEOUT}")
    await try_often(lambda: connection.exec_driver_sql(statement))


async def try_often(change: Callable[[], Awaitable[object]]) -> None:
    """Repeat a change with a LOCK_TIMEOUT until it gets the locks that it needs.

    Errors: Unavailable where a table is never free.
    """
    for _ in range(_TRIES):
        try:
            await change()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
                raise
            await asyncio.sleep(_WAIT_S)
        else:
            return
    raise Unavailable("A table is used by a long transaction. End it, then run again: gateway migrate")
