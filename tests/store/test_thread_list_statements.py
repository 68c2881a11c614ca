"""What the databases' planners make of the statements that follow the list of threads, however long it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.domain.principal import Reach
from gateway.store.statements import following_list
from tests.store.plans import filled, nodes, postgres_plan, rows_seen, sqlite_plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import ClauseElement
    from sqlalchemy.ext.asyncio import AsyncConnection

ALL: Final = Reach("p1")
OWN: Final = Reach("p1", owner="alice")
ROWS: Final = 8_000
NUMBERED: Final = ("threads", "messages", "deleted_messages", "deleted_threads")
LIMIT: Final = 20
WITH_THREADS: Final = "changes_with_threads"  # which looks up one thread for each of those changes
OF_THREADS: Final = "created_at, metadata, tool_resources, message_count, last_position, last_created_at"
COUNTED: Final = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ROWS}) SELECT n FROM c)"
FILL: Final = (
    (
        f"INSERT INTO threads (project_id, id, {OF_THREADS}) "
        f"SELECT 'p' || n % 3, 'thread_' || n, n, '{{}}', '{{}}', 1, 1, n FROM {COUNTED} AS c"
    ),
    (
        "INSERT INTO messages "
        "(project_id, thread_id, position, id, created_at, role, status, content, attachments, metadata) "
        f"SELECT 'p' || n % 3, 'thread_' || n, 1, 'msg_' || n, n, 'user', 'completed', '[]', '[]', '{{}}' "
        f"FROM {COUNTED} AS c"
    ),
    (
        "INSERT INTO deleted_messages (project_id, id, thread_id, position) "
        f"SELECT 'p' || n % 3, 'gone_' || n, 'thread_' || n, 2 FROM {COUNTED} AS c"
    ),
    (
        "INSERT INTO deleted_threads (project_id, id, created_at, seq) "
        f"SELECT 'p' || n % 3, 'gone_' || n, n, n FROM {COUNTED} AS c"
    ),
)


async def fill(connection: AsyncConnection) -> None:
    is_postgres = connection.dialect.name == "postgresql"
    if is_postgres:  # without triggers, which take most of the time; what they write is set below
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    for statement in FILL:
        await connection.exec_driver_sql(statement)
    position = "strpos" if is_postgres else "instr"
    for table in NUMBERED:
        number = f"CAST(substr(id, {position}(id, '_') + 1) AS INTEGER) + 10"
        await connection.exec_driver_sql(f"UPDATE {table} SET change_number = {number}")


def asked(*, has_ties: bool, running: str | None = "[12, 13]") -> dict[str, ClauseElement]:
    late = ROWS - 100
    return {
        "changed_threads": following_list.changed_threads(
            ALL, late, running, {"reader": "key:a"}, LIMIT, has_ties=has_ties
        ),
        "changed_threads of an owner": following_list.changed_threads(
            OWN, late, running, {"erased": "digest", "reader": "user:alice"}, LIMIT, has_ties=has_ties
        ),
        WITH_THREADS: following_list.changes_with_threads(
            OWN, late, running, {"erased": "digest", "reader": "user:alice"}, LIMIT, is_sqlite=not has_ties
        ),
        "changed_projects": following_list.changed_projects('["p1", "p2"]', late, running),
    }


async def test_sqlite_searches_the_index_of_every_table(sqlite_url: str) -> None:
    async with filled(sqlite_url, fill) as connection:
        for name, statement in asked(has_ties=False).items():
            plan = await sqlite_plan(connection, statement)

            used = {table: plan.count(f"ix_{table}_change") for table in NUMBERED}
            assert (name, used) == (name, dict.fromkeys(NUMBERED, 2)), plan
            assert plan.count("SEARCH threads USING INDEX sqlite_autoindex_threads_1") == (name == WITH_THREADS), plan


@pytest.fixture(scope="module")
async def postgres_full(own_postgres_url: str) -> AsyncIterator[AsyncConnection]:
    async with filled(own_postgres_url, fill) as connection:
        yield connection


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_postgres_reads_the_changes_alone(postgres_full: AsyncConnection, mode: str) -> None:
    for name, statement in asked(has_ties=True).items():
        plan: dict[str, Any] = await postgres_plan(postgres_full, statement, mode)

        scans = [each for each in nodes(plan) if each.get("Relation Name") in NUMBERED]
        assert len(scans) == 2 * len(NUMBERED) + (name == WITH_THREADS), name
        assert max(map(rows_seen, scans)) <= (2 if name != WITH_THREADS else 12) * LIMIT, name
