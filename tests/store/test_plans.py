"""What the databases' planners make of our statements: an index, a range, and as many rows as the page has."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg

from gateway.domain.page import Order, PageRequest
from gateway.store import statements
from gateway.store.dialect import open_engines
from tests.store.full import ALL, GAPPED, LARGE, OWN, SMALL, fill, paging_and_looking_up, paging_threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import ClauseElement, Dialect
    from sqlalchemy.ext.asyncio import AsyncConnection

    from gateway.domain.principal import Reach

Plan = dict[str, Any]


_each_reach = pytest.mark.parametrize("reach", [ALL, OWN], ids=["a project", "an owner"])


@pytest.fixture
async def sqlite_full(sqlite_url: str) -> AsyncIterator[AsyncConnection]:
    engines = open_engines(sqlite_url)
    async with engines.writer.connect() as connection:
        await fill(connection)
        yield connection
    await engines.dispose()


@pytest.fixture
async def postgres_full(new_postgres_url: str) -> AsyncIterator[AsyncConnection]:
    engines = open_engines(new_postgres_url)
    async with engines.writer.connect() as connection:
        await fill(connection)
        yield connection
    await engines.dispose()


@_each_reach
async def test_sqlite_searches_an_index_and_sorts_nothing(sqlite_full: AsyncConnection, reach: Reach) -> None:
    asked = paging_and_looking_up(LARGE, reach) | paging_threads(reach)

    plans = {name: await _sqlite_plan(sqlite_full, statement) for name, statement in asked.items()}

    assert {name: plan for name, plan in plans.items() if _SCAN.search(plan) or "TEMP B-TREE" in plan} == {}
    assert {name for name, plan in plans.items() if "INDEX" not in plan} == set()


@_each_reach
async def test_sqlite_goes_from_a_cursor_by_the_range_of_the_index(sqlite_full: AsyncConnection, reach: Reach) -> None:
    asked = paging_and_looking_up(LARGE, reach) | paging_threads(reach)
    bounded = {name: each for name, each in asked.items() if re.search("after|before|between|any_", name)}

    plans = {name: await _sqlite_plan(sqlite_full, statement) for name, statement in bounded.items()}

    ranged = re.compile(r"SEARCH (messages|threads) USING (COVERING )?INDEX \w+ \(.* AND (position|created_at)[<>]\?")
    assert {name: plan for name, plan in plans.items() if not ranged.search(plan)} == {}


async def test_sqlite_reads_pages_of_several_threads_by_index(sqlite_full: AsyncConnection) -> None:
    page = PageRequest(20, Order.ASC, after=f"msg_{LARGE}_150")
    statement = statements.list_messages_of_each(ALL, [SMALL, LARGE], page)

    plan = await _sqlite_plan(sqlite_full, statement)

    # What it sorts are the pages themselves, when they are laid side by side.
    assert plan.count("SEARCH messages USING INDEX sqlite_autoindex_messages_1") == 2
    assert not _SCAN.search(plan)


@_each_reach
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_scans_indexes_only_and_sorts_nothing(
    postgres_full: AsyncConnection, mode: str, reach: Reach
) -> None:
    asked = paging_and_looking_up(LARGE, reach) | paging_threads(reach)

    plans = {name: await _postgres_plan(postgres_full, statement, mode) for name, statement in asked.items()}

    kinds = {name: {node["Node Type"] for node in _nodes(plan)} for name, plan in plans.items()}
    # Look-ups of some rows in no order may gather or sort what they have found by index; pages may not.
    unordered = {"known_messages", "count_messages_of_run"}
    refused = {
        name: found & _POSTGRES_WORK - ({*_BITMAP, "Sort"} if name in unordered else set())
        for name, found in kinds.items()
    }
    assert {name: found for name, found in refused.items() if found} == {}
    assert {name for name, found in kinds.items() if not any("Index" in kind for kind in found)} == set()


async def test_postgres_sorts_no_more_than_the_pages_of_several_threads(postgres_full: AsyncConnection) -> None:
    statement = statements.list_messages_of_each(ALL, [SMALL, LARGE], PageRequest(20))

    plan = await _postgres_plan(postgres_full, statement)

    nodes = list(_nodes(plan))
    assert [node["Actual Rows"] for node in nodes if "Scan" in node["Node Type"]] == [21, 21]
    assert {node["Node Type"] for node in nodes} & _POSTGRES_WORK <= {"Sort"}


@_each_reach
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("thread_id", [LARGE, GAPPED])
async def test_postgres_touches_as_many_rows_in_a_large_thread_as_in_a_small_one(
    postgres_full: AsyncConnection, thread_id: str, mode: str, reach: Reach
) -> None:
    small, large = paging_and_looking_up(SMALL, reach), paging_and_looking_up(thread_id, reach)

    touched = {
        name: [_rows_touched(await _postgres_plan(postgres_full, each[name], mode)) for each in (small, large)]
        for name in small
    }

    assert {name: rows for name, rows in touched.items() if rows[0] != rows[1]} == {}


async def test_postgres_touches_one_page_of_rows_and_the_cursors(postgres_full: AsyncConnection) -> None:
    asked = {
        **paging_and_looking_up(LARGE),
        **{name: each for name, each in paging_threads().items() if name != "count_messages_of_run"},
    }

    touched = {name: _rows_touched(await _postgres_plan(postgres_full, each)) for name, each in asked.items()}

    assert {name: rows for name, rows in touched.items() if rows > 20 + 1 + 2} == {}


_POSTGRES: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]
_SCAN = re.compile("SCAN (?!CONSTANT ROW|anon_)")  # anon_: the pages of list_messages_of_each
_BITMAP = {"Bitmap Heap Scan", "Bitmap Index Scan"}
_POSTGRES_WORK = {"Seq Scan", "Sort", "Incremental Sort", "Hash", "Materialize", *_BITMAP}


async def _sqlite_plan(connection: AsyncConnection, statement: ClauseElement) -> str:
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
    return "\n".join(row.detail for row in rows)


async def _postgres_plan(
    connection: AsyncConnection, statement: ClauseElement, mode: str = "force_custom_plan"
) -> Plan:
    """Run a statement as the driver does, prepared and with parameters, and tell how it went."""
    compiled = statement.compile(dialect=_POSTGRES, compile_kwargs={"render_postcompile": True})
    values = [compiled.params[name] for name in compiled.positiontup or ()]  # type: ignore[attr-defined]
    given = ", ".join(str(value) if isinstance(value, int) else f"'{value}'" for value in values)
    await connection.exec_driver_sql(f"SET plan_cache_mode = {mode}")
    await connection.exec_driver_sql(f"PREPARE explained AS {compiled}")
    told = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE explained({given})")
    [plan] = _json(told.scalar_one())
    await connection.exec_driver_sql("DEALLOCATE explained")
    found: Plan = plan["Plan"]
    return found


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _rows_touched(plan: Plan) -> float:
    """Count what the scans found and what they threw away."""
    counts = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(
        float(node.get(count, 0) * node["Actual Loops"])
        for node in _nodes(plan)
        if "Scan" in node["Node Type"]
        for count in counts
    )
