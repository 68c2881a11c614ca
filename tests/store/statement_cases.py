"""The statements of threads and messages, with what they read on PostgreSQL, for `test_statements`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.domain.page import Order, PageRequest
from gateway.domain.principal import Reach
from gateway.domain.thread import Inferred
from gateway.domain.thread_list import SOURCE, Beside
from gateway.store.schema import tables
from gateway.store.statements import (
    erasing,
    filling,
    forking,
    importing,
    messages,
    read_marks,
    removal,
    retention,
    selected_threads,
    threads,
)
from gateway.store.statements.beside import select_beside
from gateway.store.statements.single_rows import set_row
from tests.store.erasing_cases import OF_ERASURES, size_of

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement

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
LONG_OF_RUN = ("settings", "metadata", "required_action", "last_error", "incomplete", "usage")
OF_DELETED = "project_id = 'p' AND thread_id = id"
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
        messages.any_message_from(P, "t", "a", None, False),
        (
            f"SELECT (SELECT position FROM messages WHERE {OF_THREAD} AND position <= {A} "
            "ORDER BY position DESC LIMIT 1) IS NOT NULL AS anon_1"
        ),
    ),
    "any_message_from of a run": (
        messages.any_message_from(P, "t", "a", "r", True),
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
    "set_row": (
        set_row(P, tables.messages, "m", {"metadata": "{}"}),
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
        removal.remove_thread(P, "t"),
        (
            f"DELETE FROM threads WHERE {ONE_THREAD} AND message_count <= 1000 "
            "AND last_position - coalesce(generation, 0) <= 10000 "
            f"AND (SELECT count(*) AS count_1 FROM read_marks WHERE {OF_DELETED}) <= 1000 "
            "AND NOT (EXISTS (SELECT * FROM (SELECT sum(size) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) "
            f"AS held FROM (SELECT {size_of('content', 'attachments', 'metadata')} AS size "
            f"FROM messages WHERE {OF_DELETED} "
            f"UNION ALL SELECT {size_of('text')} AS size FROM message_deltas WHERE {OF_DELETED} "
            f"UNION ALL SELECT {size_of(*LONG_OF_RUN)} AS size "
            f"FROM runs WHERE {OF_DELETED} "
            f"UNION ALL SELECT {size_of('details', 'last_error', 'usage')} AS size "
            f"FROM run_steps WHERE {OF_DELETED}) AS sizes) AS sums WHERE held > 1048576)) "
            f"RETURNING last_position, owner, created_at, seq, {OF_KEY}"
        ),
    ),
    "hide_thread": (
        removal.hide_thread(P, "t"),
        (
            f"UPDATE threads SET last_position=(last_position + 1), filling=0 WHERE {ONE_THREAD} "
            f"{POSITION}, active_run, created_at, seq, {OF_KEY}"
        ),
    ),
    "remove_hidden": (removal.remove_hidden(ALL, "t"), f"DELETE FROM threads WHERE {ONE_THREAD}"),
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
    "threads_by_ids with the source of a fork": (
        select_beside(threads.threads_by_ids, True, Beside(also=(SOURCE,)), OWN, '["m"]'),
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
