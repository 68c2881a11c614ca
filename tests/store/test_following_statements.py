"""The statements of following: their text, and what the databases' planners make of them, however long the thread."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql, sqlite

from gateway.domain.principal import Reach
from gateway.domain.wire import dump_text
from gateway.store.schema.tables import deleted_messages, message_deltas, messages, runs, threads
from gateway.store.statements import following
from gateway.store.statements import messages as of_messages
from tests.store.plans import Plan, filled, nodes, postgres_plan, rows_seen, sqlite_plan
from tests.store.test_statements import on_sqlite
from tests.store.unfinished import without_conditions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import ClauseElement, Dialect
    from sqlalchemy.ext.asyncio import AsyncConnection

PROJECT, SMALL, LARGE = "default", "thread_small", "thread_large"
ALL, P = Reach(PROJECT), Reach("p")
SIZES = {SMALL: 100, LARGE: 4_000}
LIMIT = 20
GROWING = 10  # messages that are in progress, ten pieces each
COLUMNS = (
    "id, thread_id, created_at, role, status, content, attachments, metadata, run_id, assistant_id, completed_at, "
    "incomplete_at, incomplete_reason, plain_text, idempotency_key"
)
TEXTS: dict[str, tuple[ClauseElement, str]] = {
    "list_messages_after": (
        following.list_messages_after(P, "t", 7, 2),
        (
            "SELECT <columns>, <deltas>, position, <bytes> FROM messages WHERE project_id = 'p' AND thread_id = 't' "
            "AND position > 7 AND (EXISTS (SELECT * FROM threads WHERE project_id = 'p' AND id = 't' "
            "AND coalesce(generation, 0) <= 7)) ORDER BY position LIMIT 2"
        ),
    ),
    "span": (
        following.span(P, "t"),
        (
            "SELECT coalesce(generation, 0) AS coalesce_1, last_position FROM threads "
            "WHERE project_id = 'p' AND id = 't'"
        ),
    ),
    "last_delta": (
        following.last_delta(P, "m"),
        (
            "SELECT number, part_index, start, text, next_start, characters FROM message_deltas "
            "WHERE project_id = 'p' AND message_id = 'm' ORDER BY position DESC LIMIT 1"
        ),
    ),
    "remove_deltas": (
        following.remove_deltas(P, "m"),
        "DELETE FROM message_deltas WHERE project_id = 'p' AND message_id = 'm'",
    ),
}
DIALECTS = [postgresql.dialect(), sqlite.dialect()]  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
@pytest.mark.parametrize(("statement", "expected"), TEXTS.values(), ids=list(TEXTS))
def test_a_statement_reads(statement: ClauseElement, expected: str, dialect: Dialect) -> None:
    text = re.sub(r"CASE WHEN .*? END AS deltas", "<deltas>", _text(statement, dialect))

    assert text == (on_sqlite(expected) if dialect.name == "sqlite" else expected)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_changes_are_one_limited_select_of_each_kind(dialect: Dialect) -> None:
    text = _text(following.list_changes(P, "t", 7, 2), dialect)

    limit = "LIMIT 2 OFFSET 0" if dialect.name == "sqlite" else "LIMIT 2"
    for table, key, at in (
        ("messages", "thread_id", "position"),
        ("messages", "thread_id", "changed_position"),
        ("deleted_messages", "thread_id", "deleted_position"),
        ("message_deltas", "thread_id", "position"),
        ("threads", "id", "changed_position"),
    ):
        of_thread = f"FROM {table} WHERE project_id = 'p' AND {key} = 't'"
        assert f"{of_thread} AND {at} > 7 ORDER BY {at} {limit}" in text
    assert text.count(limit) == 8
    assert text.endswith(f" ORDER BY position {limit}")


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_messages_in_progress_and_their_deltas_are_read_in_one_statement(dialect: Dialect) -> None:
    text = _text(of_messages.get_messages(P, ["m"], ("content_json", of_messages.DELTAS)), dialect)

    assert "WHEN (status = 'in_progress' AND content IS NOT NULL) THEN (SELECT" in text
    assert "FROM message_deltas WHERE project_id = 'p' AND message_id = id) END AS deltas" in text
    assert text.endswith("FROM messages WHERE project_id = 'p' AND id IN ('m')")


@pytest.fixture(scope="module")
async def sqlite_full(new_sqlite_url: Callable[[], str]) -> AsyncIterator[AsyncConnection]:
    async with filled(new_sqlite_url(), _fill) as connection:
        yield connection


@pytest.fixture(scope="module")
async def postgres_full(own_postgres_url: str) -> AsyncIterator[AsyncConnection]:
    async with filled(own_postgres_url, _fill) as connection:
        yield connection


async def test_sqlite_searches_an_index_for_every_part(sqlite_full: AsyncConnection) -> None:
    plans = {name: await sqlite_plan(sqlite_full, each) for name, each in _asked(LARGE, is_sqlite=True).items()}

    assert {
        name: plan for name, plan in plans.items() if re.search(r"SCAN (messages|deleted|message_|threads)", plan)
    } == {}
    assert {name for name, plan in plans.items() if "SEARCH" not in plan} == set()


async def test_sqlite_scans_an_index_range_from_a_position(sqlite_full: AsyncConnection) -> None:
    plan = await sqlite_plan(sqlite_full, _asked(LARGE)["list_changes"])

    for table, at in (
        ("messages", "position"),
        ("messages", "changed_position"),
        ("deleted_messages", "deleted_position"),
        ("message_deltas", "position"),
    ):
        assert re.search(
            rf"SEARCH {table} USING (COVERING )?INDEX \w+ \(project_id=\? AND thread_id=\? AND {at}>\?\)", plan
        )


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_scans_no_table(postgres_full: AsyncConnection, mode: str) -> None:
    plans = {name: await postgres_plan(postgres_full, each, mode) for name, each in _asked(LARGE).items()}

    kinds = {name: {node["Node Type"] for node in nodes(plan)} for name, plan in plans.items()}
    assert {name for name, found in kinds.items() if "Seq Scan" in found} == set()


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_reads_as_many_rows_in_a_large_thread_as_in_a_small_one(
    postgres_full: AsyncConnection, mode: str
) -> None:
    small, large = _asked(SMALL), _asked(LARGE)

    touched = {
        name: [_rows_touched(await postgres_plan(postgres_full, each[name], mode)) for each in (small, large)]
        for name in small
    }

    assert {name: rows for name, rows in touched.items() if rows[0] != rows[1]} == {}


async def test_postgres_reads_at_most_a_batch_of_each_kind(postgres_full: AsyncConnection) -> None:
    asked = _asked(LARGE)
    plans = {name: await postgres_plan(postgres_full, asked[name], "force_generic_plan") for name in list(asked)[:2]}

    most = 5 * LIMIT + GROWING * 10  # and what those have gained that are in progress
    assert _rows_touched(plans["list_changes"]) <= most
    assert _rows_touched(plans["list_changes_with_messages"]) <= most + LIMIT + GROWING * 10


def _asked(thread_id: str, *, is_sqlite: bool = False) -> dict[str, ClauseElement]:
    middle = SIZES[thread_id] // 2
    growing = [f"msg_{thread_id}_{n}" for n in range(3)]
    return {
        "list_changes": following.list_changes(ALL, thread_id, middle, LIMIT),
        "list_changes_with_messages": following.list_changes_with_messages(ALL, thread_id, middle, LIMIT, is_sqlite),
        "list_messages_after": following.list_messages_after(ALL, thread_id, middle, LIMIT),
        "get_messages": of_messages.get_messages(ALL, growing, of_messages.GROWING),
        "last_delta": following.last_delta(ALL, growing[0]),
        "last_positions": following.last_positions(dump_text([[ALL.project_id, thread_id]])),
        "span": following.span(ALL, thread_id),
    }


async def _fill(connection: AsyncConnection) -> None:
    """Make threads in which everything that can be followed has happened."""
    for thread_id, size in SIZES.items():
        await _fill_thread(connection, thread_id, size)
    await connection.execute(insert(threads), [_thread_row(f"thread_other_{n}", 0) for n in range(2_000)])


def _run_row(of_thread: dict[str, str], size: int, n: int) -> dict[str, Any]:
    texts = dict.fromkeys(("assistant_id", "status", "metadata", "settings"), "{}")
    numbers = {"position": 3 * size + n, "created_at": n, "expires_at": n, "changed_position": 3 * size + n + 1}
    return {**of_thread, **texts, **numbers, "id": f"run_{of_thread['thread_id']}_{n}"}


async def _fill_thread(connection: AsyncConnection, thread_id: str, size: int) -> None:
    of_thread = {"project_id": PROJECT, "thread_id": thread_id}
    await connection.execute(insert(threads), _thread_row(thread_id, size * 4))
    empty = dict.fromkeys(("run_id", "assistant_id", "completed_at", "incomplete_at", "incomplete_reason"))
    texts = {"role": "user", "content": "[]", "attachments": "[]", "metadata": "{}"}
    await connection.execute(
        insert(messages),
        [
            {
                **of_thread,
                **empty,
                **texts,
                "id": f"msg_{thread_id}_{n}",
                "status": "in_progress" if n < GROWING else "completed",
                "created_at": n,
                "position": n + 1,
                "changed_position": size + n + 1 if n % 2 else None,
            }
            for n in range(size)
        ],
    )
    await connection.execute(insert(runs), [_run_row(of_thread, size, n) for n in range(size)])
    gone = [{**of_thread, "id": f"msg_{thread_id}_gone_{n}", "position": 0} for n in range(size)]
    await connection.execute(
        insert(deleted_messages), [{**each, "deleted_position": size * 2 + n + 1} for n, each in enumerate(gone)]
    )
    piece = {**of_thread, "part_index": 0, "start": 0, "text": "piece"}
    await connection.execute(
        insert(message_deltas),
        [
            {**piece, "message_id": f"msg_{thread_id}_{n // 10}", "number": n % 10 + 1, "position": size * 3 + n + 1}
            for n in range(size)
        ],
    )


def _thread_row(thread_id: str, last_position: int) -> dict[str, Any]:
    counts = {"message_count": 0, "last_position": last_position, "last_created_at": 0, "changed_position": 1}
    texts = {"project_id": PROJECT, "id": thread_id, "metadata": "{}", "tool_resources": "{}"}
    return {**texts, **counts, "created_at": 0}


def _text(statement: ClauseElement, dialect: Dialect) -> str:
    """Compile with values in place, a message's columns as one, and without the names of tables before columns."""
    text = re.sub(r"\s+", " ", str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))
    text = without_conditions(text)
    text = re.sub(r"\b(threads|messages|message_deltas|deleted_messages|anon_1)\.", "", text)
    for as_bytes in ("CAST(content AS BLOB)", "convert_to(content, 'UTF8')"):
        text = text.replace(f"{as_bytes} AS content", "content")
    text = re.sub(r"(octet_length|length)\(\S*content.*? ELSE 0 END AS bytes", "<bytes>", text)
    return text.replace(COLUMNS, "<columns>")


def _rows_touched(plan: Plan) -> float:
    """Count what the scans of tables found and what they threw away."""
    scans = ("Index Scan", "Index Only Scan", "Seq Scan", "Bitmap Heap Scan")
    return sum(rows_seen(node) for node in nodes(plan) if node["Node Type"] in scans)
