"""How Alembic reaches the database: on the connection that `gateway migrate` holds, or by GATEWAY_DATABASE_URL."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from gateway.settings.load import load_settings
from gateway.store.engines.open import open_engines
from gateway.store.schema.partial_indexes import metadata


def run(connection: Connection) -> None:
    """Run the migrations; the transaction is the caller's."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    context.run_migrations()


async def connect_and_run() -> None:
    """Run the migrations for the `alembic` command, which developers use to write new ones."""
    engines = open_engines(load_settings().database_url)
    try:
        async with engines.writer.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engines.dispose()


held = context.config.attributes.get("connection")
if held is None:
    asyncio.run(connect_and_run())
else:
    run(held)
