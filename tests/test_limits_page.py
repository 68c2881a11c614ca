"""`docs/limits.md` shows the table of bounds as the program has it, and each row names tests that there are."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.domain import bounds

if TYPE_CHECKING:
    from gateway.domain.bounds import Bound

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
# What follows are limits that settings change, and the errors.
BOUNDS: Final = PAGE.partition("\n## Rate limits\n")[0]
ROWS: Final = {line.split("`")[1]: line for line in BOUNDS.splitlines() if line.startswith("| `")}


def row_of(bound: Bound) -> str:
    """Write a row, but for its last cell: the tests."""
    return f"| `{bound.name}` | {bound.number:,} {bound.unit} | `{bound.code}` | {bound.reason} | "


def named_in(row: str) -> list[str]:
    return [each.strip("` ") for each in row.rpartition(" | ")[2].removesuffix("|").split("`, `")]


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_a_bound_has_its_row_with_number_error_and_reason() -> None:
    lacking = [each.name for each in bounds.BOUNDS if not ROWS.get(each.name, "no row").startswith(row_of(each))]

    assert lacking == []


def test_each_test_named_in_a_row_exists() -> None:
    named = [tuple(each.split("::")) for row in ROWS.values() for each in named_in(row)]

    assert [name for name, row in ROWS.items() if not any(named_in(row))] == []
    assert [each for each in named if each[1] not in functions_of(each[0]) or not each[1].startswith("test_")] == []


def test_the_page_has_no_row_of_a_bound_that_is_no_more() -> None:
    assert set(ROWS) == {each.name for each in bounds.BOUNDS}
