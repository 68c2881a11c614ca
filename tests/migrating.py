"""Alembic's scripts alone, up or down to a revision: what no command of ours does.

Must not be here: what `gateway migrate` does (`store.schema.migrate`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config

from gateway.store.engines.open import open_engines

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SCRIPTS: Final = Path(__file__).parents[1] / "migrations"


async def run_scripts(url: str, revision: str) -> None:
    """Upgrade a database to a revision, or take everything out of it again ("base")."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    engines = open_engines(url)

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        (command.downgrade if revision == "base" else command.upgrade)(config, revision)

    try:
        async with engines.writer.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engines.dispose()
