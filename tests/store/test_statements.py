"""The text of every statement. The differences between the databases are in `on_sqlite`."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from gateway.domain.page import Order, PageRequest
from gateway.domain.principal import Reach
from gateway.domain.thread import Inferred
from gateway.domain.thread_list import LAST_READ, SOURCE, Beside
from gateway.store.statements import (
    erasing,
    filling,
    forking,
    importing,
    messages,
    postgres_pages,
    read_marks,
    retention,
    selected_threads,
    thread_list,
    threads,
)
from gateway.store.statements.beside import select_beside
from gateway.store.statements.messages import MESSAGE_COLUMNS
from gateway.store.statements.threads import THREAD_COLUMNS
from tests.store.erasing_cases import OF_ERASURES
from tests.store.unfinished import without_conditions

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement, Dialect

ASC, DESC = Order.ASC, Order.DESC
P = Reach("p")
BOUNDS = {"created_least": 5, "created_most": 9}
OWN = Reach("p", owner="u")
THREAD = "<id, created_at, metadata, tool_resources, message_count, owner, idempotency_key, activity_at>"
MESSAGE = (
    "<id, thread_id, created_at, role, status, content, attachments, metadata, run_id, assistant_id, completed_at, "
    "incomplete_at, incomplete_reason, plain_text, idempotency_key>"
)
_AT = "CASE WHEN (created_at {1}) THEN {2} ELSE created_at END AS anon_{3}"
_SEQ = "CASE WHEN (created_at {1}) THEN {4} ELSE seq END AS anon_{5}"
THREAD_PLACE = (
    f"(SELECT {_AT}, {_SEQ} FROM threads AS cursor WHERE project_id = 'p' AND id = '{{0}}' UNION ALL "
    f"SELECT {_AT.replace('{3}', '{6}')}, {_SEQ.replace('{5}', '{7}')} FROM deleted_threads "
    "WHERE project_id = 'p' AND id = '{0}')"
)
MESSAGE_PLACE = (
    "(SELECT position FROM messages AS cursor WHERE project_id = 'p' AND thread_id = 't' AND id = '{0}' "
    "UNION ALL SELECT position FROM deleted_messages WHERE project_id = 'p' AND thread_id = 't' AND id = '{0}')"
)
A, B = MESSAGE_PLACE.format("a"), MESSAGE_PLACE.format("b")
THREAD_A = THREAD_PLACE.format("a", "< 5", 5, 1, -(1 << 63) + 1, 2, 3, 4)
THREAD_B = THREAD_PLACE.format("b", "> 9", 9, 1, (1 << 63) - 1, 2, 3, 4)
OF_THREAD = "project_id = 'p' AND thread_id = 't'"
ONE_THREAD = "project_id = 'p' AND id = 't'"
NOW_MS = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
NOW_MS_ON_SQLITE = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
WHOLE = "project_id = 'p'"
ACTIVITY = "coalesce(activity_at, CASE WHEN (last_created_at > 0) THEN last_created_at ELSE created_at END * 1000)"
NEXT_ACTIVITY = (
    "activity_at=CASE WHEN (<activity> > 5000 + 60 * 1000) THEN 5000 "
    "WHEN (<activity> >= 5000) THEN <activity> + 1 ELSE 5000 END"
)
AMONG = """= ANY (ARRAY(SELECT jsonb_array_elements_text(CAST('["m"]' AS JSONB))))"""
FURTHER = "UPDATE threads SET last_position=(last_position + 1)"
AGAIN = THREAD[1:-1].replace("id,", "id AS id__1,", 1).replace("owner", "owner AS owner__1")
OF_KEY = "idempotency_scope, idempotency_key, idempotency_fingerprint"
POSITION = "RETURNING last_position, id, owner"
OF_READER = f"{OF_THREAD} AND reader = 'r'"
MARK = f"SELECT position FROM read_marks WHERE {OF_READER}"
OF_OWNER = "project_id = 'p' AND owner = 'u'"
FILLED = f"{ONE_THREAD} AND message_count = 7 AND filling = 3"
WAS = {"message_count": 7, "filling": 3}
ALL = P.and_unfinished()

CASES: dict[str, tuple[ClauseElement, str]] = {
    **OF_ERASURES,
    "get_threads": (
        threads.get_threads(P, ["t", "u"]),
        f"SELECT {THREAD} FROM threads WHERE project_id = 'p' AND id IN ('t', 'u')",
    ),
    "lock_ends": (
        importing.lock_ends(P, '["m"]'),
        (
            "SELECT id, last_position, last_created_at, coalesce(inferred, 0) AS coalesce_1, active_run, filling "
            f"FROM threads WHERE project_id = 'p' AND id {AMONG} FOR UPDATE"
        ),
    ),
    "get_messages": (
        messages.get_messages(P, ["m", "n"]),
        f"SELECT {MESSAGE}, <bytes> FROM messages WHERE project_id = 'p' AND id IN ('m', 'n')",
    ),
    "list_created": (
        selected_threads.list_created(P, PageRequest(2), BOUNDS),
        (
            f"SELECT {THREAD} FROM threads WHERE {WHOLE} AND created_at >= 5 AND created_at <= 9 "
            "ORDER BY created_at DESC, seq DESC LIMIT 3"
        ),
    ),
    "list_created after": (
        selected_threads.list_created(P, PageRequest(2, ASC, after="a"), BOUNDS),
        (
            f"SELECT {THREAD} FROM threads WHERE {WHOLE} AND (created_at, seq) > {THREAD_A} "
            "AND created_at <= 9 ORDER BY created_at ASC, seq ASC LIMIT 3"
        ),
    ),
    "list_created before": (
        selected_threads.list_created(P, PageRequest(2, ASC, before="b", from_end=True), BOUNDS),
        (
            f"SELECT {THREAD} FROM threads WHERE {WHOLE} AND (created_at, seq) < {THREAD_B} "
            "AND created_at >= 5 ORDER BY created_at DESC, seq DESC LIMIT 3"
        ),
    ),
    "list_messages": (
        messages.list_messages(P, "t", PageRequest(2)),
        f"SELECT {MESSAGE}, <bytes> FROM messages WHERE {OF_THREAD} ORDER BY position DESC LIMIT 3",
    ),
    "list_messages of a run": (
        messages.list_messages(P, "t", PageRequest(2), "r"),
        f"SELECT {MESSAGE}, <bytes> FROM messages WHERE {OF_THREAD} AND run_id = 'r' ORDER BY position DESC LIMIT 3",
    ),
    "list_messages after": (
        messages.list_messages(P, "t", PageRequest(2, DESC, after="a")),
        f"SELECT {MESSAGE}, <bytes> FROM messages WHERE {OF_THREAD} AND position < {A} ORDER BY position DESC LIMIT 3",
    ),
    "list_messages before": (
        messages.list_messages(P, "t", PageRequest(2, DESC, before="b", from_end=True)),
        f"SELECT {MESSAGE}, <bytes> FROM messages WHERE {OF_THREAD} AND position > {B} ORDER BY position ASC LIMIT 3",
    ),
    "list_messages between": (
        messages.list_messages(P, "t", PageRequest(2, ASC, after="a", before="b")),
        (
            f"SELECT {MESSAGE}, <bytes> FROM messages WHERE {OF_THREAD} AND position > {A} AND position < {B} "
            "ORDER BY position ASC LIMIT 3"
        ),
    ),
    "any_message_from": (
        messages.any_message_from(P, "t", "a", None, up=False),
        (
            f"SELECT (SELECT position FROM messages WHERE {OF_THREAD} AND position <= {A} "
            "ORDER BY position DESC LIMIT 1) IS NOT NULL AS anon_1"
        ),
    ),
    "any_message_from of a run": (
        messages.any_message_from(P, "t", "a", "r", up=True),
        (
            f"SELECT (SELECT position FROM messages WHERE {OF_THREAD} AND run_id = 'r' AND position >= {A} "
            "ORDER BY position ASC LIMIT 1) IS NOT NULL AS anon_1"
        ),
    ),
    "count_threads": (
        threads.count_threads(P),
        (
            "SELECT (SELECT count(*) AS count_1 FROM threads WHERE project_id = 'p') - (SELECT count(*) AS count_1 "
            "FROM threads WHERE project_id = 'p' AND filling IS NOT NULL) AS anon_1"
        ),
    ),
    "count_messages_of_run": (
        messages.count_messages_of_run(P, "t", "r"),
        f"SELECT count(*) AS count_1 FROM messages WHERE {OF_THREAD} AND run_id = 'r'",
    ),
    "place_of_message": (messages.place_of_message(P, "t", "a"), A),
    "position_of": (messages.position_of(P, "t", "a"), f"SELECT {A} AS anon_1"),
    "has_place_among_threads": (
        threads.has_place_among_threads(P, "t"),
        (
            f"SELECT (EXISTS (SELECT * FROM threads WHERE {ONE_THREAD})) "
            f"OR (EXISTS (SELECT * FROM deleted_threads WHERE {ONE_THREAD})) AS anon_1"
        ),
    ),
    "has_place_in_thread": (
        messages.has_place_in_thread(P, "t", "a"),
        f"SELECT {A} IS NOT NULL AS anon_1",
    ),
    "known_messages": (
        messages.known_messages(P, '["m"]'),
        (
            f"SELECT id, thread_id FROM messages WHERE project_id = 'p' AND id {AMONG} "
            f"UNION ALL SELECT id, thread_id FROM deleted_messages WHERE project_id = 'p' AND id {AMONG}"
        ),
    ),
    "deleted_threads_of": (
        importing.deleted_threads_of(P, '["m"]'),
        f"SELECT id, seq, generation FROM deleted_threads WHERE project_id = 'p' AND id {AMONG}",
    ),
    "forget_deletion": (
        importing.forget_deletion(P, "t"),
        f"DELETE FROM deleted_threads WHERE {ONE_THREAD} RETURNING {OF_KEY}",
    ),
    "take_positions": (
        threads.take_positions(P, "t", 2, 5_000),
        (
            "UPDATE threads SET message_count=(message_count + 2), last_position=(last_position + 2), "
            "last_created_at=CASE WHEN (last_created_at BETWEEN 5000 / 1000 AND 5000 / 1000 + 60) "
            "THEN last_created_at ELSE 5000 / 1000 END, "
            f"{NEXT_ACTIVITY} WHERE {ONE_THREAD} AND active_run IS NULL "
            "RETURNING last_position, last_created_at, owner"
        ),
    ),
    "next_position": (threads.next_position(P, "t"), f"{FURTHER} WHERE {ONE_THREAD} {POSITION}"),
    "begin_change": (threads.begin_change(P, "t"), f"{FURTHER} WHERE {ONE_THREAD} {POSITION}, {AGAIN}"),
    "begin_finish": (
        threads.begin_finish(P, "m", 5_000),
        (
            f"{FURTHER}, {NEXT_ACTIVITY} WHERE project_id = 'p' AND id = (SELECT thread_id FROM messages "
            f"WHERE project_id = 'p' AND id = 'm') {POSITION}"
        ),
    ),
    "next_position_of_message": (
        threads.next_position_of_message(P, "m"),
        (
            f"{FURTHER} WHERE project_id = 'p' AND id = (SELECT thread_id FROM messages WHERE project_id = 'p' "
            f"AND id = 'm') {POSITION}"
        ),
    ),
    "move_end": (
        threads.move_end(P, "t", 7, 5),
        (
            "UPDATE threads SET message_count=((message_count + 7) - last_position), last_position=7, "
            f"last_created_at=5 WHERE {ONE_THREAD}"
        ),
    ),
    "set_thread": (
        threads.set_thread(P, "t", Inferred.METADATA, {"metadata": "{}"}),
        f"UPDATE threads SET metadata='{{}}', inferred=(inferred & -3) WHERE {ONE_THREAD}",
    ),
    "set_message": (
        messages.set_message(P, "m", {"metadata": "{}"}),
        "UPDATE messages SET metadata='{}' WHERE project_id = 'p' AND id = 'm'",
    ),
    "uncount_messages": (
        threads.uncount_messages(P, "t", 2),
        f"UPDATE threads SET message_count=(message_count - 2) WHERE {ONE_THREAD}",
    ),
    "remove_message": (
        messages.remove_message(P, "t", "m"),
        f"DELETE FROM messages WHERE {OF_THREAD} AND id = 'm' RETURNING position, {OF_KEY}",
    ),
    "remove_thread": (
        threads.remove_thread(P, "t"),
        f"DELETE FROM threads WHERE {ONE_THREAD} RETURNING created_at, seq, owner, last_position, filling, {OF_KEY}",
    ),
    "find_end": (
        read_marks.find_end(P, "t", "r"),
        f"SELECT last_position, ({MARK}) AS anon_1 FROM threads WHERE {ONE_THREAD}",
    ),
    "lock_end": (
        read_marks.lock_end(P, "t"),
        f"SELECT last_position, owner FROM threads WHERE {ONE_THREAD} FOR UPDATE",
    ),
    "has_mark": (read_marks.has_mark(P, "t", "r"), MARK),
    "raise_mark": (
        read_marks.raise_mark(P, "t", "r", 7),
        f"UPDATE read_marks SET position=7 WHERE {OF_READER} AND position < 7 RETURNING position",
    ),
    "lower_mark": (
        read_marks.lower_mark(P, "t", "r", 7),
        f"UPDATE read_marks SET position=7 WHERE {OF_READER} AND position > 7 RETURNING position",
    ),
    "the source of a fork": (
        select_beside(thread_list.threads_by_ids, True, Beside(also=(SOURCE,)), OWN, '["m"]'),
        (
            f"SELECT {THREAD}, CASE WHEN (EXISTS (SELECT * FROM threads AS sources WHERE {OF_OWNER} "
            f"AND id = forked_thread_id)) THEN forked_thread_id END AS source, forked_message_id FROM threads "
            f"WHERE {OF_OWNER} AND id {AMONG}"
        ),
    ),
    "count_until": (
        forking.count_until(P, "t", 7, 2),
        (
            "SELECT count(*) AS count_1 FROM (SELECT position AS position "
            f"FROM messages WHERE {OF_THREAD} AND position <= 7 LIMIT 2) AS anon_1"
        ),
    ),
    "add_filled": (
        filling.add_filled(ALL, "t", WAS, 2, 5),
        f"UPDATE threads SET message_count=(message_count + 2), filling=5 WHERE {FILLED} RETURNING id",
    ),
    "end_filling": (
        filling.end_filling(ALL, "t", WAS, {"created_at": 5}),
        f"UPDATE threads SET created_at=5, filling=NULL WHERE {FILLED} RETURNING id",
    ),
    "is_abandoned": (
        filling.is_abandoned(ALL, "t", 5),
        f"SELECT id FROM threads WHERE {ONE_THREAD} AND filling < 5",
    ),
    "overdue_threads": (
        retention.overdue_threads(P, 7, 2),
        (
            "SELECT id FROM threads JOIN thread_activity ON thread_activity.project_id = project_id "
            f"AND thread_activity.seq = seq WHERE {WHOLE} AND thread_activity.project_id = 'p' "
            "AND thread_activity.activity_at < 7 AND NOT (EXISTS (SELECT * FROM runs WHERE project_id = 'p' "
            f"AND id = active_run AND expires_at * 1000 > {NOW_MS})) ORDER BY thread_activity.activity_at LIMIT 2"
        ),
    ),
    "count_owned": (
        erasing.count_owned(OWN),
        (f"SELECT count(*) AS count_1, coalesce(sum(message_count), 0) AS coalesce_1 FROM threads WHERE {OF_OWNER}"),
    ),
    "some_threads": (
        erasing.some_threads(OWN, 2),
        f"SELECT id FROM threads WHERE {OF_OWNER} ORDER BY created_at, seq LIMIT 2",
    ),
    "forget_erasure": (
        erasing.forget_erasure(OWN, "d"),
        "DELETE FROM erased_owners WHERE project_id = 'p' AND owner = 'd'",
    ),
    "forget_owner": (
        erasing.forget_owner(OWN, "d", 2),
        (
            "UPDATE deleted_threads SET owner=NULL, idempotency_scope=NULL, idempotency_key=NULL, "
            f"idempotency_fingerprint=NULL, erased_owner='d' WHERE {OF_OWNER} AND id IN (SELECT id "
            f"FROM deleted_threads WHERE {OF_OWNER} LIMIT 2) RETURNING id"
        ),
    ),
}
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
    statement = select_beside(thread_list.threads_by_ids, dialect is SQLITE, beside, OWN, '["m"]')
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
    text = _text(statement, POSTGRES)

    tables = re.findall(
        r"(?:FROM|UPDATE) (?:threads|messages|deleted_\w+|message_deltas|read_marks|erased_owners|runs)\b", text
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
    r"\b(threads|messages|cursor|deleted_threads|deleted_messages|read_marks|erased_owners|runs|sources|anon_1|page|rows|counted)\."
)


def on_sqlite(text: str) -> str:
    """SQLite locks nothing by row, since its transactions begin with the only writer's lock; and it has no arrays."""
    text = text.replace(AMONG, """IN (SELECT value FROM json_each('["m"]'))""")
    text = text.replace(NOW_MS, NOW_MS_ON_SQLITE)
    return re.sub(r"(LIMIT \d)", r"\1 OFFSET 0", text).removesuffix(" FOR UPDATE")


def _text(statement: ClauseElement, dialect: Dialect) -> str:
    """Compile, with values in place, long lists of columns as one, and without the names of tables before columns."""
    text = str(statement.compile(dialect=dialect, compile_kwargs=IN_PLACE))
    text = without_conditions(re.sub(r"\s+", " ", text))
    text = _TABLES.sub("", text)
    text = re.sub(r"octet_length\(([\w.]+)\)|length\(CAST\(([\w.]+) AS BLOB\)\)", r"octets(\1\2)", text)
    for as_bytes in ("CAST(content AS BLOB)", "convert_to(content, 'UTF8')"):
        text = text.replace(f"{as_bytes} AS content", "content")
    text = _BYTES.sub("<bytes>", text)
    text = text.replace(f"{ACTIVITY} AS activity_at", "activity_at").replace(ACTIVITY, "<activity>")
    for columns in (THREAD_COLUMNS, MESSAGE_COLUMNS):
        listed = ", ".join(column.name for column in columns)
        text = text.replace(listed, f"<{listed}>")
    return text
