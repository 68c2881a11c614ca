"""The edges of a page are a column of its statement."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql

from gateway.domain.page import PageRequest
from gateway.domain.principal import Reach
from gateway.store.statements import messages, postgres_pages

PROJECT = Reach("p")
FIELDS = ("id", messages.EDGES)


def test_edges_are_found_once_and_before_the_texts_of_rows_are_left_out() -> None:
    page = PageRequest(2, after="a")

    plain = messages.list_messages(PROJECT, "t", page, None, FIELDS)
    early = postgres_pages.list_messages_within_bytes(PROJECT, "t", page, None, FIELDS)

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    assert [each.name for each in plain.selected_columns] == ["id", "edges", "bytes"]
    text = str(early.compile(dialect=dialect))
    assert text.startswith("SELECT page.id, page.edges, page.bytes")
    assert text.count(" END AS edges") == 1
