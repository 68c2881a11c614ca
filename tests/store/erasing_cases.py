"""The statements of an erasure, with what they read on PostgreSQL, for `test_statements`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.domain.principal import Reach
from gateway.store.schema import tables
from gateway.store.statements import erasing

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement

P: Final = Reach("p")
OF_THREAD: Final = "project_id = 'p' AND thread_id = 't'"
AMONG: Final = """= ANY (ARRAY(SELECT jsonb_array_elements_text(CAST('["m"]' AS JSONB))))"""
OF_ERASURES: Final[dict[str, tuple[ClauseElement, str]]] = {
    "list_sizes": (
        erasing.list_sizes(P, "t", 7, 2),
        (
            "SELECT position, octets(content) + octets(attachments) AS anon_1 FROM messages "
            f"WHERE {OF_THREAD} AND position > 7 ORDER BY position LIMIT 2"
        ),
    ),
    "remove_messages": (
        erasing.remove_messages(P, "t", 7, 9),
        f"DELETE FROM messages WHERE {OF_THREAD} AND position > 7 AND position <= 9",
    ),
    "remove_some": (
        erasing.remove_some(P, tables.runs, "t", 2),
        (
            "DELETE FROM runs WHERE project_id = 'p' AND id = ANY "
            f"(ARRAY(SELECT id FROM runs WHERE {OF_THREAD} LIMIT 2)) RETURNING id"
        ),
    ),
    "list_marked": (
        erasing.list_marked(P, "r", 2),
        "SELECT thread_id FROM read_marks WHERE project_id = 'p' AND reader = 'r' ORDER BY change_number LIMIT 2",
    ),
    "forget_mark": (erasing.forget_mark(P, "t", "r"), f"DELETE FROM read_marks WHERE {OF_THREAD} AND reader = 'r'"),
    "list_authored": (
        erasing.list_authored(P, "t", '["m"]'),
        f"SELECT id FROM messages WHERE {OF_THREAD} AND author {AMONG}",
    ),
    "list_payers": (
        erasing.list_payers(P, "t", 7, 2),
        (
            "SELECT thread_id, position, id, created_by FROM runs WHERE project_id = 'p' AND (thread_id, position) > "
            "('t', 7) ORDER BY thread_id, position LIMIT 2"
        ),
    ),
}
