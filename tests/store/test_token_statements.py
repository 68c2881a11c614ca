"""The statements on token epochs: each narrowed to what its caller reaches, each answered by index alone."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects import postgresql

from gateway.domain.principal import Reach
from gateway.store.engines.open import open_engines
from gateway.store.statements import thread_tokens
from tests.store.plans import sqlite_plan
from tests.store.unfinished import without_conditions

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement

P, MANY = Reach("p"), '["t","u"]'
OPENS = "SELECT id AS thread_id, generation, token_epoch FROM threads WHERE project_id = 'p' AND id"
CASES: dict[str, tuple[ClauseElement, str]] = {
    "token_epochs": (thread_tokens.token_epochs(P, MANY), OPENS),
    "later_epochs": (thread_tokens.later_epochs(P, MANY), OPENS),
    "token_standing": (
        thread_tokens.token_standing(P, "t", "key_a"),
        "FROM threads WHERE project_id = 'p' AND id = 't'",
    ),
    "revoke_tokens": (
        thread_tokens.revoke_tokens(Reach("p", owner="alice"), "t"),
        "SET token_epoch=(coalesce(token_epoch, 0) + 1) WHERE project_id = 'p' AND owner = 'alice' AND id = 't'",
    ),
}


@pytest.mark.parametrize(("statement", "part"), CASES.values(), ids=list(CASES))
def test_a_statement_begins_with_the_reach_of_its_caller(statement: ClauseElement, part: str) -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    compiled = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))

    assert part in re.sub(r"\b(threads|keys)\.", "", without_conditions(" ".join(compiled.split())))


def test_every_builder_has_a_case() -> None:
    builders = {name for name, each in vars(thread_tokens).items() if inspect.isfunction(each)}

    assert {
        name for name in builders if vars(thread_tokens)[name].__module__.endswith("statements.thread_tokens")
    } == set(CASES)


@pytest.mark.parametrize("name", CASES)
async def test_no_statement_scans_a_table(sqlite_url: str, name: str) -> None:
    engines = open_engines(sqlite_url)
    async with engines.reader.connect() as connection:
        plan = await sqlite_plan(connection, CASES[name][0])
    await engines.dispose()

    assert not re.search(r"SCAN (threads|keys)", plan)
    assert "SEARCH threads USING INDEX" in plan
