"""The text of every statement. The differences between the databases are in `on_sqlite`."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from gateway.domain.page import PageRequest
from gateway.domain.thread_list import LAST_READ, Beside
from gateway.store.statements import (
    erasing,
    forking,
    messages,
    postgres_pages,
    read_marks,
    retention,
    threads,
)
from gateway.store.statements.beside import select_beside
from gateway.store.statements.messages import MESSAGE_COLUMNS
from gateway.store.statements.threads import THREAD_COLUMNS
from tests.store.statement_cases import (
    ACTIVITY,
    AMONG,
    CASES,
    DESC,
    MESSAGE,
    NOW_MS,
    NOW_MS_ON_SQLITE,
    ONE_THREAD,
    OWN,
    A,
    P,
)
from tests.store.unfinished import without_conditions

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement, Dialect

IN_PLACE = {"literal_binds": True}
POSTGRES: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
SQLITE: Dialect = sqlite.dialect()
BOTH = postgres_pages.get_thread_with_messages(P, "t", PageRequest(2, DESC, after="a"))
EACH = postgres_pages.list_messages_of_each(P, '["t", "u"]', PageRequest(2, DESC, after="a"))
EACH_ON_SQLITE = messages.list_messages_of_each(P, '["t", "u"]', PageRequest(2, DESC, after="a"))


@pytest.mark.parametrize(("statement", "expected"), CASES.values(), ids=list(CASES))
def test_statement_reads_on_postgres(statement: ClauseElement, expected: str) -> None:
    assert _text(statement, POSTGRES) == expected


@pytest.mark.parametrize(("statement", "expected"), CASES.values(), ids=list(CASES))
def test_statement_reads_on_sqlite(statement: ClauseElement, expected: str) -> None:
    assert _text(statement, SQLITE) == on_sqlite(expected)


def test_messages_of_any_number_of_ids_are_joined_to_one_value_on_sqlite() -> None:
    found = _text(messages.get_messages_of(P, '["m", "n"]'), SQLITE)

    assert """FROM json_each('["m", "n"]') AS wanted JOIN messages ON project_id = 'p' AND id = wanted.value""" in found


def test_pages_of_several_threads_are_one_limited_select_for_each_of_their_ids() -> None:
    found = _text(EACH, POSTGRES)

    place = A.replace("'t'", "wanted.id")
    inner = f"FROM messages WHERE project_id = 'p' AND thread_id = wanted.id AND position < {place} "
    assert """json_array_elements_text(CAST('["t", "u"]' AS JSON)) AS wanted(id), LATERAL (SELECT """ in found
    assert inner + "ORDER BY position DESC LIMIT 3) AS counted" in found
    assert found.count("LIMIT") == 1


def test_on_sqlite_the_positions_of_each_page_are_found_before_its_rows() -> None:
    found = _text(EACH_ON_SQLITE, SQLITE)

    place = on_sqlite(A).replace("'t'", "wanted.value")
    inner = f"FROM messages WHERE project_id = 'p' AND thread_id = wanted.value AND position < {place} "
    assert """FROM json_each('["t", "u"]') AS wanted JOIN json_each((SELECT json_group_array(""" in found
    assert (
        inner + "ORDER BY position DESC LIMIT 3 OFFSET 0) AS positions)) AS near ON 1 LEFT OUTER JOIN messages" in found
    )
    assert found.endswith("ON project_id = 'p' AND thread_id = wanted.value AND position = near.value")


def test_a_page_within_bytes_selects_the_same_columns_of_the_same_rows() -> None:
    builds = (messages.list_messages, postgres_pages.list_messages_within_bytes)

    plain, early = (_text(build(P, "t", PageRequest(2, DESC, after="a")), POSTGRES) for build in builds)

    assert plain.partition(" FROM messages ")[2] in early
    assert early.startswith(f"SELECT {MESSAGE}, bytes FROM (SELECT ")
    for text in ("content", "attachments", "metadata"):
        assert f"CASE WHEN (held <= 8388608 OR held = bytes) THEN {text} END AS {text}" in early
    assert early.endswith(" ORDER BY position DESC")


@pytest.mark.parametrize("dialect", [POSTGRES, SQLITE], ids=lambda each: each.name)
def test_a_thread_and_its_page_are_one_union_of_two_selects(dialect: Dialect) -> None:
    found = _text(BOTH, dialect)

    assert re.search(rf"FROM threads WHERE {ONE_THREAD}\) AS \w+ UNION ALL SELECT ", found)
    assert (
        f"FROM messages WHERE project_id = 'p' AND thread_id = 't' AND position < {A} ORDER BY position DESC" in found
    )


@pytest.mark.parametrize("dialect", [POSTGRES, SQLITE], ids=lambda each: each.name)
def test_what_is_unread_is_counted_after_the_mark_and_no_further_than_asked(dialect: Dialect) -> None:
    beside = Beside(reader="r", most=2, also=(LAST_READ,))
    statement = select_beside(threads.threads_by_ids, dialect is SQLITE, beside, OWN, '["m"]')
    found = re.sub(r"\s+", " ", str(statement.compile(dialect=dialect, compile_kwargs=IN_PLACE)))

    of_thread = "messages.project_id = threads.project_id AND messages.thread_id = threads.id"
    own = "read_marks.project_id = threads.project_id AND read_marks.thread_id = threads.id"
    own = f"(SELECT read_marks.position FROM read_marks WHERE {own} AND read_marks.reader = 'r')"
    mark = f"messages.position {{}} coalesce({own}, 0)"
    is_news = "(messages.role = 'assistant' OR messages.author IS NOT NULL)"
    is_news += " AND (messages.role = 'assistant' OR messages.author != 'r')"
    later = f"{of_thread} AND {mark.format('>')} AND {is_news}"
    read = f"{of_thread} AND {mark.format('<=')} ORDER BY messages.position DESC"
    assert f"SELECT 1 AS one FROM messages WHERE {later} LIMIT 3" in found
    assert f"SELECT messages.id FROM messages WHERE {read} LIMIT 1" in found
    assert "FROM threads WHERE threads.project_id = 'p' AND threads.owner = 'u' AND threads.filling IS NULL " in found


@pytest.mark.parametrize("dialect", [POSTGRES, SQLITE], ids=lambda each: each.name)
def test_projects_are_found_one_after_the_other_by_the_order_of_activity(dialect: Dialect) -> None:
    assert _text(retention.next_project("p"), dialect) == (
        "SELECT min(thread_activity.project_id) AS min_1 FROM thread_activity WHERE thread_activity.project_id > 'p'"
    )


@pytest.mark.parametrize(
    "statement", [*(case[0] for case in CASES.values()), EACH, BOTH], ids=[*CASES, "of each", "both"]
)
def test_every_where_begins_with_the_project(statement: ClauseElement) -> None:
    text = _text(statement, POSTGRES).replace(" WHERE held > ", " ")  # of rows that were selected from tables

    tables = re.findall(
        r"(?:FROM|UPDATE) (?:threads|messages|deleted_\w+|message_deltas|read_marks|erased_owners|runs?\w*)\b",
        text,
    )
    wheres = re.findall(r" WHERE (\w+ = '\w+')", text)

    assert wheres == ["project_id = 'p'"] * len(tables)
    assert text.count(" WHERE ") == len(tables)


def test_every_builder_with_a_reach_has_a_case() -> None:
    builders = {
        name
        for module in (threads, messages, read_marks, forking, retention, erasing)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if "reach" in inspect.signature(function).parameters and not name.startswith("_")
    }

    looked_at = {name.partition(" ")[0] for name in CASES}

    assert builders - looked_at == {
        "within",
        "within_thread",
        "is_shown",
        "has_key",
        "columns_for",  # columns and no statement
        "columns_of",
        "source_columns",
        "with_message",  # of threads that another statement selects
        "get_thread_with_edges",
        "list_messages_of_each",
        "get_messages_of",
        "insert_message",  # at a position that `take_positions` has allocated
        "take_position",  # is `take_positions` of one
        "append_message",  # begins with it: tests/store/test_append.py
        "take_position_once",  # so does this one: tests/idempotency
    }


# What is counted of a message: its own columns and, while it is in progress, what it has gained.
_BYTES = re.compile(
    r"octets\(content\) \+ octets\(attachments\) \+ octets\(metadata\) \+ CASE WHEN \(status = 'in_progress'\) THEN "
    r"\(SELECT CAST\(coalesce\(sum\(octets\(message_deltas.text\)\), 0\) AS INTEGER\) AS coalesce_1 "
    r"FROM message_deltas WHERE message_deltas.project_id = 'p' AND message_deltas.message_id = id\) "
    r"ELSE 0 END(?: AS bytes)?"
)


_TABLES = re.compile(
    r"\b(threads|messages|cursor|deleted_threads|deleted_messages|read_marks|erased_owners|runs|run_steps|sources|anon_1|page|rows|counted|sizes|sums)\."
)


def on_sqlite(text: str) -> str:
    """SQLite locks nothing by row, since its transactions begin with the only writer's lock; and it has no arrays."""
    text = text.replace(AMONG, """IN (SELECT value FROM json_each('["m"]'))""")
    text = re.sub(r"= ANY \(ARRAY(\(SELECT \w+ FROM [^()]+\))\)", r"IN \1", text.replace(NOW_MS, NOW_MS_ON_SQLITE))
    return re.sub(r"(LIMIT \d)", r"\1 OFFSET 0", text).removesuffix(" FOR UPDATE")


def _text(statement: ClauseElement, dialect: Dialect) -> str:
    """Compile, with values in place, long lists of columns as one, and without the names of tables before columns."""
    text = str(statement.compile(dialect=dialect, compile_kwargs=IN_PLACE))
    text = without_conditions(re.sub(r"\s+", " ", text))
    text = _TABLES.sub("", text)
    text = re.sub(r"octet_length\(([\w.]+)\)|length\(CAST\(([\w.]+) AS BLOB\)\)", r"octets(\1\2)", text)
    for as_bytes in ("CAST(content AS BLOB)", "convert_to(content, 'UTF8')"):
        text = text.replace(f"{as_bytes} AS content", "content")
    text = _BYTES.sub("<bytes>", text).replace("message_deltas.", "")
    text = text.replace(f"{ACTIVITY} AS activity_at", "activity_at").replace(ACTIVITY, "<activity>")
    for columns in (THREAD_COLUMNS, MESSAGE_COLUMNS):
        listed = ", ".join(column.name for column in columns)
        text = text.replace(listed, f"<{listed}>")
    return text
