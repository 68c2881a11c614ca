"""Every statement that a server runs names the project of each table that it reads or writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from gateway.domain.principal import Reach
from tests.effort import times
from tests.isolation.asking import ask
from tests.isolation.test_statement_builds import move, watch
from tests.isolation.ways import NAMELESS, WAYS
from tests.isolation.world import callers, make_names
from tests.store.hash_partitions import TABLES

if TYPE_CHECKING:
    from tests.isolation.asking import Served

_TABLE: Final = f"({'|'.join(TABLES)})"
_NAMED: Final = re.compile(rf"\b(?:FROM|JOIN|UPDATE|INTO|USING)\s+{_TABLE}\b(?:\s+AS\s+(\w+))?", re.IGNORECASE)


def without_project(statement: str) -> list[str]:
    """Name the tables of a statement that it does not narrow to a project, or fill without one."""
    found = []
    for each in _NAMED.finditer(statement):
        alias = each[2] or each[1]
        is_named = re.search(rf"\b{alias}\.project_id\b", statement)
        is_filled = re.search(rf"INTO {each[1]}\s*\([^)]*\bproject_id\b", statement)
        if not (is_named or is_filled):
            found.append(alias)
    return found


def test_a_statement_without_a_project_is_found() -> None:
    assert without_project("SELECT threads.id FROM threads WHERE threads.id = $1") == ["threads"]
    assert without_project("SELECT 1 FROM messages AS m JOIN threads ON threads.project_id = $1") == ["m"]
    assert without_project("INSERT INTO threads (id) VALUES ($1)") == ["threads"]
    assert without_project("INSERT INTO threads (project_id, id) VALUES ($1, $2)") == []
    assert without_project("SELECT m.id FROM messages AS m WHERE m.project_id = $1") == []


@pytest.mark.uncounted
async def test_every_statement_names_the_project_of_each_table(served: Served) -> None:
    world, seen = served.world, set[str]()

    def note(_database: str, statement: str) -> None:
        seen.add(statement)

    world.store.watch(note)
    names = await make_names(world.store, Reach("shop", owner="alice"))
    kinds = list((await callers(world.store, world.shop, names)).values())
    for caller in kinds[:: times(fast=3, slow=1)]:
        for way in (*WAYS, *NAMELESS):
            await ask(served, way, caller, await make_names(world.store, Reach("shop", owner="alice")))
    await move(served.world, names.thread)
    await watch(served.world)

    of_projects = [each for each in seen if _NAMED.search(each)]
    assert len(of_projects) > 50
    assert {each: found for each in of_projects if (found := without_project(each))} == {}
