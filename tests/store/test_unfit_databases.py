"""Databases of PostgreSQL that were created in a way that does not fit are refused, and what to do is said."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url, text

from gateway.errors import InvalidSetting, Unavailable
from gateway.store.engines.open import open_engines
from gateway.store.schema.migrate import migrate
from gateway.store.schema.ready import make_ready
from gateway.store.store import opened_store
from tests.make import make_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.core import Store
    from gateway.domain.principal import Principal


@contextmanager
def created(postgres_url: str, kind: str, options: str) -> Iterator[str]:
    """Create a role or a database of that name for the block."""
    name = f"unfit_{uuid4().hex}"

    async def run(statement: str) -> None:
        engines = open_engines(postgres_url)
        async with engines.reader.connect() as connection:
            await connection.execute(text(statement))
        await engines.dispose()

    asyncio.run(run(f"CREATE {kind} {name} {options}"))
    yield name
    asyncio.run(run(f"DROP {kind} {name}"))


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("prepare", [migrate, make_ready])
def test_a_database_that_is_not_in_utf_8_is_refused(
    postgres_url: str, encoding: str, prepare: Callable[[str], object]
) -> None:
    with created(postgres_url, "DATABASE", f"ENCODING {encoding} LOCALE 'C' TEMPLATE template0") as name:
        url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)

        with pytest.raises(InvalidSetting, match=f"has the encoding {encoding}, not UTF8. Create another"):
            asyncio.run(prepare(url))  # type: ignore[arg-type]


def test_a_migration_names_the_privilege_that_its_user_lacks(new_postgres_url: Callable[[], str]) -> None:
    with created(new_postgres_url(), "ROLE", "LOGIN") as role:
        url = make_url(new_postgres_url()).set(username=role).render_as_string(hide_password=False)

        with pytest.raises(InvalidSetting, match=r"its user lacks a privilege: .*permission denied for"):
            asyncio.run(migrate(url))


def test_a_write_without_the_privilege_for_it_is_unavailable_and_keeps_its_connection(
    postgres_url: str, who: Principal
) -> None:
    with created(postgres_url, "ROLE", "LOGIN") as role:
        url = make_url(postgres_url).set(username=role).render_as_string(hide_password=False)

        async def write() -> tuple[list[int], list[int]]:
            async with opened_store(url) as store:
                return await refused(store), await refused(store)

        async def refused(store: Store) -> list[int]:
            with pytest.raises(Unavailable, match="its operator has to grant a privilege"):
                await make_thread(store, who)
            operator = await asyncpg.connect(postgres_url)
            found = await operator.fetch("SELECT pid FROM pg_stat_activity WHERE usename = $1 ORDER BY pid", role)
            await operator.close()
            return [each["pid"] for each in found]

        first, second = asyncio.run(write())

        assert first == second != []
