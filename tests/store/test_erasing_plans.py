"""What an erasure looks up in a whole project, it finds by index, and no more than it asks for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert

from gateway.domain.principal import Reach
from gateway.store.erasing import BESIDE
from gateway.store.schema import tables
from gateway.store.statements import erasing, idempotency
from tests.store.plans import filled, nodes, postgres_plan, sqlite_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ClauseElement, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

ROWS: Final = 4_000
MOST: Final = 20
P: Final = Reach("p").and_unfinished()
ASKED: Final[dict[str, ClauseElement]] = {
    "list_scopes": idempotency.list_scopes(P, tables.threads, "thread user:2", "", MOST),
    "forget_key": idempotency.forget_key(P, tables.threads, "thread user:2", "k2"),
    "list_payers": erasing.list_payers(P, "thread_2", 1, MOST),
    "list_marked": erasing.list_marked(P, "user:2", MOST),
    "forget_mark": erasing.forget_mark(P, "thread_2", "user:2"),
}


def _keys_of(table: Table) -> str:
    """Return the keys of rows that `fill_one` inserts."""
    prefix = "r" if table is tables.read_marks else f"{table.name}_"
    return json.dumps([10 + n if table is tables.message_deltas else f"{prefix}{n}" for n in range(MOST)])


LISTED: Final = {each.name: erasing.list_beside(P, each, "thread_0", MOST) for each in BESIDE}
REMOVED: Final = {each.name: erasing.remove_beside(P, each, "thread_0", _keys_of(each)) for each in BESIDE}
BESIDE_OF: Final = REMOVED | {f"list of {name}": each for name, each in LISTED.items()}


async def fill(connection: AsyncConnection) -> None:
    counts = dict.fromkeys(("created_at", "message_count", "last_position", "last_created_at"), 0)
    own = {"project_id": "p", "metadata": "{}", "tool_resources": "{}", **counts}
    keyed = [
        {"id": f"thread_{n}", "idempotency_scope": f"thread user:{n}", "idempotency_key": f"k{n}"} for n in range(ROWS)
    ]
    await connection.execute(insert(tables.threads), [own | each for each in keyed])
    marks = [
        {"project_id": "p", "thread_id": f"thread_{n}", "reader": f"user:{n % 9}", "position": 1} for n in range(ROWS)
    ]
    await connection.execute(insert(tables.read_marks), marks)
    of_run = {"project_id": "p", "created_at": 1, "assistant_id": "a", "status": "completed", "expires_at": 2}
    runs = [
        of_run | {"thread_id": f"thread_{n}", "position": 2, "id": f"run_{n}", "metadata": "{}", "settings": "{}"}
        for n in range(ROWS)
    ]
    await connection.execute(insert(tables.runs), runs)
    await fill_one(connection)


async def fill_one(connection: AsyncConnection) -> None:
    """Fill one thread with much of all that is removed in steps."""
    texts = {"metadata": "{}", "settings": "{}", "details": "{}", "type": "t", "status": "completed", "text": ""}
    numbers = dict.fromkeys(("created_at", "expires_at", "number", "part_index", "start", "deleted_position"), 1)
    names = {"project_id": "p", "thread_id": "thread_0", "message_id": "m", "assistant_id": "a", "run_id": "r"}
    for table in BESIDE:
        rows = [
            names | texts | numbers | {"position": 10 + n, "id": f"{table.name}_{n}", "reader": f"r{n}"}
            for n in range(ROWS)
        ]
        own = [{name: value for name, value in row.items() if name in table.c} for row in rows]
        await connection.execute(insert(table), own)


async def test_sqlite_finds_what_names_an_end_user_by_index(new_sqlite_url: Callable[[], str]) -> None:
    async with filled(new_sqlite_url(), fill) as connection:
        plans = {name: await sqlite_plan(connection, statement) for name, statement in ASKED.items()}

    by_index = {
        "list_scopes": "uq_threads_idempotency_key (project_id=? AND (idempotency_scope,idempotency_key)>(?,?))",
        "forget_key": "uq_threads_idempotency_key (project_id=? AND idempotency_scope=? AND idempotency_key=?)",
        "list_payers": "sqlite_autoindex_runs_1 (project_id=? AND (thread_id,position)>(?,?))",
        "list_marked": "ix_read_marks_project_id_reader_change_number (project_id=? AND reader=?)",
        "forget_mark": "sqlite_autoindex_read_marks_1 (project_id=? AND thread_id=? AND reader=?)",
    }
    assert {name: plan.partition("INDEX ")[2] for name, plan in plans.items()} == by_index


async def test_postgres_finds_what_names_an_end_user_by_index(own_postgres_url: str) -> None:
    async with filled(own_postgres_url, fill) as connection:
        plans = {name: await postgres_plan(connection, each, "force_generic_plan") for name, each in ASKED.items()}

    for name, plan in plans.items():
        kinds = {node["Node Type"] for node in nodes(plan)}
        assert not kinds & {"Seq Scan", "Sort", "Incremental Sort"}, (name, kinds)
        assert all(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= MOST for node in nodes(plan)), name


async def test_sqlite_removes_what_a_thread_has_without_passing_over_the_rest(
    new_sqlite_url: Callable[[], str],
) -> None:
    async with filled(new_sqlite_url(), fill) as connection:
        plans = {name: await sqlite_plan(connection, statement) for name, statement in REMOVED.items()}

    by_key = {
        "run_steps": "sqlite_autoindex_run_steps_2 (project_id=? AND id=?)",
        "runs": "sqlite_autoindex_runs_2 (project_id=? AND id=?)",
        "message_deltas": "sqlite_autoindex_message_deltas_1 (project_id=? AND thread_id=? AND position=?)",
        "deleted_messages": "sqlite_autoindex_deleted_messages_1 (project_id=? AND id=?)",
        "read_marks": "sqlite_autoindex_read_marks_1 (project_id=? AND thread_id=? AND reader=?)",
    }
    assert {name: plan.splitlines()[0].partition("INDEX ")[2] for name, plan in plans.items()} == by_key


async def test_postgres_removes_what_a_thread_has_without_passing_over_the_rest(own_postgres_url: str) -> None:
    async with filled(own_postgres_url, fill) as connection:
        plans = {name: await postgres_plan(connection, each, "force_generic_plan") for name, each in BESIDE_OF.items()}
        version = connection.dialect.server_version_info or ()

    if version < (17,):  # it compares the readers of all marks of a thread: of a usual one it has two
        del plans[tables.read_marks.name]
    for name, plan in plans.items():
        assert all(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= MOST for node in nodes(plan)), name
