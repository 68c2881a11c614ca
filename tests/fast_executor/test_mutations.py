"""Mutations run serially, whatever they return and however long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from graphql import parse

from tests.fast_executor.comparison import plan_of, run_compiled, run_normally
from tests.fast_executor.sample_schema import HINTS, SCHEMA, WITHOUT, Counter

if TYPE_CHECKING:
    from gateway.fast_executor.hints import FieldHints

_THREE: Final = ["add 1", "laterAdd 2", "add 3"]
_CASES: Final = {
    "one after the other": (
        "mutation { a: add(number: 1) { total } b: laterAdd(number: 2) { total } c: add(number: 3) { total } }",
        _THREE,
        '{"a":{"total":1},"b":{"total":3},"c":{"total":6}}',
    ),
    "late fields of a mutation before the next": (
        "mutation { a: laterAdd(number: 1) { laterTotal total } b: add(number: 2) { laterTotal } }",
        ["laterAdd 1", "add 2"],
        '{"a":{"laterTotal":1,"total":1},"b":{"laterTotal":3}}',
    ),
    "one that fails does not stop the others": (
        "mutation { a: add(number: 1) { total } b: failAdd(number: 2) { total } c: add(number: 3) { total } }",
        ["add 1", "failAdd 2", "add 3"],
        '{"a":{"total":1},"b":null,"c":{"total":6}}',
    ),
    "one that fails later does not stop the others": (
        "mutation { a: laterFailAdd(number: 1) { total } b: laterAdd(number: 2) { total } }",
        ["laterFailAdd 1", "laterAdd 2"],
        '{"a":null,"b":{"total":3}}',
    ),
    "merged ones happen once": (
        "mutation { add(number: 1) { total } ... on Mutation { add(number: 1) { laterTotal } } }",
        ["add 1"],
        '{"add":{"total":1,"laterTotal":1}}',
    ),
    "skipped ones do not happen": (
        "mutation { a: add(number: 1) @skip(if: true) { total } b: add(number: 2) { total } }",
        ["add 2"],
        '{"b":{"total":2}}',
    ),
    "a bad argument stops only its own": (
        "mutation ($n: Int = 1) { a: add(number: $n) { total } b: add(number: 2) { total } }",
        ["add 1", "add 2"],
        '{"a":{"total":1},"b":{"total":3}}',
    ),
}


@pytest.mark.parametrize("hints", [HINTS, WITHOUT], ids=["with hints", "without hints"])
@pytest.mark.parametrize(("text", "done", "data"), _CASES.values(), ids=_CASES)
async def test_mutations_run_serially(text: str, done: list[str], data: str, hints: FieldHints) -> None:
    compiled_root, normal_root = Counter(), Counter()

    compiled = await run_compiled(plan_of(SCHEMA, text, hints), {}, compiled_root)
    normal = await run_normally(SCHEMA, parse(text), {}, normal_root)

    assert compiled == normal
    assert compiled.data.decode() == data
    assert compiled_root.done == normal_root.done == done


async def test_null_variable_fails_only_its_field() -> None:
    text = "mutation ($n: Int = 1) { a: add(number: $n) { total } b: laterAdd(number: 2) { total } }"
    root = Counter()

    compiled = await run_compiled(plan_of(SCHEMA, text, HINTS), {"n": None}, root)

    assert compiled == await run_normally(SCHEMA, parse(text), {"n": None}, Counter())
    assert root.done == ["laterAdd 2"]


async def test_failed_non_null_mutation_stops_later_ones() -> None:
    text = "mutation { a: add(number: 1) { total } b: sureAdd(number: 2) { total } c: add(number: 3) { total } }"

    class Failing(Counter):
        def add(self, name: str, number: int) -> Counter:
            super().add(name, number)
            if name == "sureAdd":
                raise ValueError("no")
            return Counter(self.total)

    root = Failing()

    compiled = await run_compiled(plan_of(SCHEMA, text, HINTS), {}, root)

    assert compiled == await run_normally(SCHEMA, parse(text), {}, Failing())
    assert (compiled.data, root.done) == (b"null", ["add 1", "sureAdd 2"])
