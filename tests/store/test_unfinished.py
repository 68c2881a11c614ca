"""No statement of a caller reaches a thread that is being filled, nor its messages by their ids."""

from __future__ import annotations

from typing import Final

import pytest

from tests.store.statement_cases import CASES
from tests.store.test_statements import IN_PLACE, POSTGRES
from tests.store.unfinished import omits_unfinished

FILLS: Final = {"add_filled", "end_filling", "is_abandoned"}


@pytest.mark.parametrize("name", [each for each in CASES if each not in FILLS])
def test_a_statement_of_a_caller_omits_threads_that_are_not_whole(name: str) -> None:
    text = " ".join(str(CASES[name][0].compile(dialect=POSTGRES, compile_kwargs=IN_PLACE)).split())

    by_id = name.startswith(("list_messages", "get_messages"))
    assert omits_unfinished(text) or "filling IS NOT NULL" in text or not (by_id or "FROM threads" in text)
