"""No statement of a caller reaches a thread that is not whole, nor its messages and runs by their ids or keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from gateway.domain.idempotency import Kind
from gateway.domain.page import PageRequest
from gateway.store.statements import idempotency, runs
from tests.store.statement_cases import CASES, P
from tests.store.test_statements import IN_PLACE, POSTGRES
from tests.store.unfinished import omits_unfinished

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement

REMOVES_OR_FILLS: Final = {"add_filled", "end_filling", "remove_hidden"}
BY_ID: Final[dict[str, ClauseElement]] = {
    "get_run": runs.get_run(P, "r"),
    "get_run_again": runs.get_run_again(P, "r"),
    "get_runs": runs.get_runs(P, ["r"]),
    "list_runs": runs.list_runs(P, "t", PageRequest(limit=2)),
    "list_runs_of_each": runs.list_runs_of_each(P, '["t"]', PageRequest(limit=2)),
    "has_files": runs.has_files(P, "t"),
    **{f"find_created {kind.name}": idempotency.find_created(P, kind, "s", "k") for kind in (Kind.MESSAGE, Kind.RUN)},
}


@pytest.mark.parametrize("name", [each for each in CASES if each not in REMOVES_OR_FILLS])
def test_a_statement_of_a_caller_omits_threads_that_are_not_whole(name: str) -> None:
    text = text_of(CASES[name][0])

    by_id = name.startswith(("list_messages", "get_messages"))
    assert omits_unfinished(text) or "filling IS NOT NULL" in text or not (by_id or "FROM threads" in text)


@pytest.mark.parametrize("name", BY_ID)
def test_what_is_found_by_an_id_or_a_key_is_of_no_thread_that_is_not_whole(name: str) -> None:
    assert "filling IS NOT NULL" in text_of(BY_ID[name])


def text_of(statement: ClauseElement) -> str:
    return " ".join(str(statement.compile(dialect=POSTGRES, compile_kwargs=IN_PLACE)).split())
