"""What is unread is counted in an index of its own, and the rows of messages are not read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import insert

from gateway.domain.principal import Reach
from gateway.domain.thread_list import Beside
from gateway.store.schema import tables
from gateway.store.statements import threads
from gateway.store.statements.beside import select_beside
from tests.store.plans import filled, nodes, postgres_plan, rows_seen, sqlite_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

THREADS: Final = 20
LENGTH: Final = 200
MOST: Final = 20
OWN: Final = Reach("p")


async def _fill(connection: AsyncConnection) -> None:
    shared = {"project_id": "p", "created_at": 1, "metadata": "{}"}
    ends = {"tool_resources": "{}", "message_count": LENGTH, "last_position": LENGTH, "last_created_at": 1}
    await connection.execute(insert(tables.threads), [{**shared, **ends, "id": f"t{n}"} for n in range(THREADS)])
    own = {**shared, "status": "completed", "content": "x" * 1_000, "attachments": "[]"}
    rows = [
        {
            **own,
            "thread_id": f"t{n}",
            "position": at,
            "id": f"m{n}_{at}",
            "role": "assistant" if at % 4 == 0 else "user",
        }
        for n in range(THREADS)
        for at in range(1, LENGTH)
    ]
    await connection.execute(insert(tables.messages), rows)


@pytest.fixture
def urls(new_sqlite_url: Callable[[], str], new_postgres_url: Callable[[], str]) -> tuple[str, str]:
    return new_sqlite_url(), new_postgres_url()


async def test_unread_messages_are_counted_without_their_rows(urls: tuple[str, str]) -> None:
    sqlite_url, postgres_url = urls
    beside = Beside(reader="user:alice", most=MOST)
    local, remote = (select_beside(threads.threads_by_ids, each, beside, OWN, '["t7"]') for each in (True, False))

    async with filled(sqlite_url, _fill) as connection:
        plan = await sqlite_plan(connection, local)
    async with filled(postgres_url, _fill) as connection:
        found = list(nodes(await postgres_plan(connection, remote)))

    assert re.search(r"SEARCH messages USING COVERING INDEX ix_messages_news \(.* AND position>\?\)", plan)
    [scan] = [each for each in found if each.get("Relation Name") == tables.messages.name]
    assert scan["Index Name"] == "ix_messages_news"
    assert rows_seen(scan) == MOST + 1
