"""A PostgreSQL that has fewer connections left than a server may open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest
from sqlalchemy import make_url

from gateway.core import health, threads
from gateway.errors import Unavailable
from gateway.store.store import opened_store
from tests.make import make_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.domain.principal import Principal

LIMIT, MANY = 3, 40


@pytest.fixture
def limited_url(new_postgres_url: Callable[[], str]) -> Iterator[str]:
    """Give the URL of a database for a role that may have as few connections."""
    url = new_postgres_url()
    role = f"of_{make_url(url).database}"
    rights = f"GRANT pg_read_all_data, pg_write_all_data TO {role}"
    asyncio.run(_operate(url, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT {LIMIT}; {rights}"))
    yield make_url(url).set(username=role).render_as_string(hide_password=False)
    asyncio.run(_operate(url, f"DROP ROLE {role}"))


async def _operate(url: str, statements: str) -> None:
    operator = await asyncpg.connect(url)
    await operator.execute(statements)
    await operator.close()


async def test_requests_wait_for_the_connections_that_there_are(limited_url: str, who: Principal) -> None:
    async with opened_store(limited_url) as store:
        await threads.get(store, who, await make_thread(store, who))  # one connection to write with, and one to read
        made = await asyncio.gather(*(make_thread(store, who) for _ in range(MANY)))

        found = await asyncio.gather(*(threads.get(store, who, each) for each in made))

    assert [each.id for each in found] == made


async def test_a_server_is_ready_whose_requests_have_the_last_connections(limited_url: str, who: Principal) -> None:
    async with opened_store(limited_url) as store:
        await threads.get(store, who, await make_thread(store, who))  # as above
        others = [await asyncpg.connect(limited_url) for _ in range(LIMIT - 2)]

        failed = [await health.failures(store, min_free_mb=0) for _ in range(2)]

        assert failed == [{}, {}]
        await asyncio.gather(*(each.close() for each in others))


async def test_a_pool_without_any_connection_says_so(limited_url: str, who: Principal) -> None:
    others = [await asyncpg.connect(limited_url) for _ in range(LIMIT)]
    async with opened_store(limited_url) as store:
        with pytest.raises(Unavailable, match="no connection left"):
            await make_thread(store, who)
    await asyncio.gather(*(each.close() for each in others))
