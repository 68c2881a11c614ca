"""Real operations on the real application: compiled ones have the same response, in the same key order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

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


@pytest.fixture
async def faces(filled: Path) -> AsyncIterator[tuple[Face, Face]]:
    async with both_faces(filled) as both:
        yield both


async def test_metric_counts_operations_by_executor(faces: tuple[Face, Face]) -> None:
    compiled, normal = faces
    twice = Case("twice", "{ threads { nodes { id } } }", [{}, {}])

    await compiled.answers(twice)
    await normal.answers(twice)

    assert compiled.executed() == {"compiled": 2, "normal": 0}
    assert normal.executed() == {"compiled": 0, "normal": 2}


@_each_case
async def test_compiled_operation_has_the_same_response(case: Case, faces: tuple[Face, Face]) -> None:
    compiled, normal = faces

    answers = await compiled.answers(case)

    assert answers == await normal.answers(case)
    assert compiled.executed() == {"compiled": len(case.variables), "normal": 0}
