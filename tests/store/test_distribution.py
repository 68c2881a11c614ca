"""On PostgreSQL all tables can be distributed by project: keys have it, and the store works on partitions by it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
import pytest

from tests.effort import times
from tests.store.hash_partitions import LAYOUT, TABLES, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[2]
# A reference table, which is read by digest before a project is known; and Alembic's own.
WITHOUT_PROJECT: Final = {"keys", "alembic_version"}
KEYS: Final = """
SELECT i.indrelid::regclass::text AS of_table, i.indexrelid::regclass::text AS index,
    array_agg(a.attname::text) AS columns
FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indisunique AND i.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
GROUP BY 1, 2"""
FAST: Final = ("tests/store/test_store.py",)
# The plans of tables in partitions are others: an engine that distributes makes them on each node.
SLOW: Final = (
    "tests/store",
    "tests/core",
    "--ignore=tests/store/test_plans.py",
    "--ignore=tests/store/test_distribution.py",
)
ONE_OF: Final = {
    "a page": "SELECT id FROM messages WHERE project_id = 'p' AND thread_id = 't' ORDER BY position DESC LIMIT 20",
    "a message": "SELECT id FROM messages WHERE project_id = 'p' AND id = 'm'",
    "a list": "SELECT id FROM threads WHERE project_id = 'p' ORDER BY created_at DESC, seq DESC LIMIT 20",
}


async def test_every_unique_key_has_the_project(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    keys = {(each["of_table"], each["index"]): each["columns"] for each in await connection.fetch(KEYS)}
    await connection.close()

    assert set(TABLES) <= {table for table, _ in keys}
    assert [key for key, columns in keys.items() if key[0] not in WITHOUT_PROJECT and "project_id" not in columns] == []


@pytest.fixture
def other_url(new_postgres_url: Callable[[], str]) -> str:
    return new_postgres_url()


async def test_what_is_read_of_a_project_is_in_one_partition(other_url: str) -> None:
    await lay_out(other_url)
    connection = await asyncpg.connect(other_url)
    plans = {
        name: "\n".join(each[0] for each in await connection.fetch(f"EXPLAIN {statement}"))
        for name, statement in ONE_OF.items()
    }
    await connection.close()

    assert {name: plan for name, plan in plans.items() if "Append" in plan} == {}


@pytest.mark.skipif(sys.platform != "linux", reason="the run starts another one beside its own PostgreSQL")
@pytest.mark.usefixtures("postgres_url")
def test_the_stores_tests_pass_on_tables_in_partitions_by_project() -> None:
    chosen = times(fast=0, slow=1)
    environment = {**os.environ, LAYOUT: "hash", "PYTEST_XDIST_WORKER": f"hash_{os.getpid()}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--no-cov", "-k", "postgres"]

    ran = subprocess.run(
        [*command, *(SLOW if chosen else FAST)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-5_000:]
