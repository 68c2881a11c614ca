"""The query plans of both databases."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg

from gateway.store.engines.open import open_engines
from gateway.store.schema.tables import metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from sqlalchemy import ClauseElement, Dialect
    from sqlalchemy.ext.asyncio import AsyncConnection

Plan = dict[str, Any]

_POSTGRES: Final[Dialect] = asyncpg.dialect()  # type: ignore[no-untyped-call]
_COUNTS: Final = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")


@asynccontextmanager
async def filled(url: str, fill: Callable[[AsyncConnection], Awaitable[None]]) -> AsyncIterator[AsyncConnection]:
    """Fill a database of its own, update its statistics, and connect to it."""
    engines = open_engines(url)
    async with engines.writer.connect() as connection:
        if connection.dialect.name == "postgresql":  # deleted rows would count, too
            await connection.exec_driver_sql(f"TRUNCATE {', '.join(table.name for table in metadata.sorted_tables)}")
        await fill(connection)
        if connection.dialect.name == "postgresql":  # triggers that wait for the commit
            await connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        await connection.exec_driver_sql("ANALYZE")
        yield connection
        await connection.rollback()
    await engines.dispose()


async def sqlite_plan(connection: AsyncConnection, statement: ClauseElement) -> str:
    """Return the indexes that SQLite uses, one line each."""
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
    return "\n".join(row.detail for row in rows)


async def postgres_plan(connection: AsyncConnection, statement: ClauseElement, mode: str = "force_custom_plan") -> Plan:
    """Run a statement as the driver does, prepared and with parameters, and return its plan."""
    compiled = statement.compile(dialect=_POSTGRES, compile_kwargs={"render_postcompile": True})
    values = [compiled.params[name] for name in compiled.positiontup or ()]  # type: ignore[attr-defined]
    given = ", ".join("NULL" if value is None else _literal(value) for value in values)
    await connection.exec_driver_sql(f"SET plan_cache_mode = {mode}")
    await connection.exec_driver_sql(f"PREPARE explained AS {compiled}")
    told = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE explained({given})")
    raw = told.scalar_one()
    [plan] = json.loads(raw) if isinstance(raw, str) else raw
    await connection.exec_driver_sql("DEALLOCATE explained")
    found: Plan = plan["Plan"]
    return found


def _literal(value: str | int) -> str:
    """Write a value as PostgreSQL's SQL does, which knows no backslashes."""
    return "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else repr(value)


def nodes(plan: Plan) -> Iterator[Plan]:
    """Walk through a plan of PostgreSQL."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def rows_seen(node: Plan) -> float:
    """Count what a scan found and what it threw away."""
    return sum(float(node.get(count, 0) * node["Actual Loops"]) for count in _COUNTS)
