"""Real operations on the real application: a compiled one answers what graphql-core does, key for key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from gateway.graphql.execution import runner
from tests.fast_executor.corpus import Case, Face, both_faces, fill, load_cases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_CASES: Final = load_cases()
_each_case = pytest.mark.parametrize("case", _CASES, ids=[each.name for each in _CASES])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("corpus") / "filled.db"
    asyncio.run(fill(file))
    return file


@pytest.fixture(autouse=True)
def _compile_from_the_first_time_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "COMPILE_AT_USE", 1)


@pytest.fixture
async def faces(filled: Path) -> AsyncIterator[tuple[Face, Face]]:
    async with both_faces(filled) as both:
        yield both


async def test_the_metric_tells_how_many_operations_were_compiled_and_how_many_were_not(
    faces: tuple[Face, Face], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, _ = faces
    monkeypatch.setattr(runner, "COMPILE_AT_USE", 2)

    await compiled.answers(Case("thrice", "{ threads { nodes { id } } }", [{}, {}, {}]))

    assert compiled.executed() == {"compiled": 2, "normal": 1}


@_each_case
async def test_a_compiled_operation_answers_what_a_normal_one_does(case: Case, faces: tuple[Face, Face]) -> None:
    compiled, normal = faces

    answers = await compiled.answers(case)

    assert answers == await normal.answers(case)
    assert compiled.executed() == {"compiled": len(case.variables), "normal": 0}
