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


def size_of(*columns: str) -> str:
    """Return the SQL of the bytes of some columns."""
    return " + ".join(["0", *(f"coalesce(octets({each}), 0)" for each in columns)])


OF_ERASURES: Final[dict[str, tuple[ClauseElement, str]]] = {
    "list_sizes": (
        erasing.list_sizes(P, "t", 7, 2),
        (
            f"SELECT position, {size_of('content', 'attachments', 'metadata')} AS anon_1 FROM messages "
            f"WHERE {OF_THREAD} AND position > 7 ORDER BY position LIMIT 2"
        ),
    ),
    "remove_messages": (
        erasing.remove_messages(P, "t", 7, 9),
        f"DELETE FROM messages WHERE {OF_THREAD} AND position > 7 AND position <= 9",
    ),
    "list_beside": (
        erasing.list_beside(P, tables.run_steps, "t", 2),
        f"SELECT id, {size_of('details', 'last_error', 'usage')} AS anon_1 FROM run_steps WHERE {OF_THREAD} LIMIT 2",
    ),
    "list_beside_without_long_texts": (
        erasing.list_beside(P, tables.read_marks, "t", 2),
        f"SELECT reader, 0 FROM read_marks WHERE {OF_THREAD} LIMIT 2",
    ),
    "remove_beside": (
        erasing.remove_beside(P, tables.runs, "t", '["m"]'),
        f"DELETE FROM runs WHERE project_id = 'p' AND id {AMONG}",
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
