"""For random schemas, operations and values, a plan has the same result as graphql-core."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, Final

import pytest
from graphql import parse, print_schema, validate
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from tests.effort import times
from tests.fast_executor.comparison import every_error, plan_of, run_compiled, run_normally
from tests.fast_executor.random_operations import operations
from tests.fast_executor.random_schemas import worlds
from tests.fast_executor.random_values import Values

if TYPE_CHECKING:
    from tests.fast_executor.random_operations import Asked
    from tests.fast_executor.random_schemas import World

_TIMES: Final = 3  # that a plan is executed, with other variables and values each time
# Examples with and without awaiting; with --slow they are 7,200, and 21,600 executions.
_EXAMPLES: Final = times(fast=10, slow=3_600)
_UNEXPECTED: Final = ("null", "error", "wrong", "other class", "iterable")
_ONLY_LATER: Final = ("awaited",)
# To explain a failure takes Python's tracing, and minutes.
_many: Final = settings(max_examples=_EXAMPLES, phases=[Phase.reuse, Phase.generate, Phase.shrink])


@st.composite
def unexpected_kinds(draw: st.DrawFn, *, is_async: bool) -> tuple[tuple[str, ...], float]:
    kinds = _UNEXPECTED + (_ONLY_LATER if is_async else ())
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=3, unique=True))
    return tuple(chosen), draw(st.sampled_from((0.03, 0.1, 0.3)))


class Compared:
    """Both answers to one operation, one after the other with the same plan."""

    def __init__(self, world: World, asked: Asked, values: Values) -> None:
        self._world, self._values = world, values
        self._kind = "Mutation" if asked.text.startswith("mutation") else "Query"
        self._document = parse(asked.text)
        self._plan = plan_of(world.schema, self._document, world.hints)

    async def answers(self, raw: dict[str, Any], seed: int) -> None:
        """Compare what both give, and what mutations do in which order."""
        done: list[Any] = []
        done_normally: list[Any] = []
        asked = (self._world.schema, self._document, raw)

        compiled = await run_compiled(self._plan, raw, self._root(seed), done)
        normal = await run_normally(*asked, self._root(seed), done_normally)
        errors = compiled.errors

        note(f"{compiled}\n{normal}")
        assert self._effects(done) == self._effects(done_normally)
        assert compiled.data == normal.data
        if self._world.is_async and by_place(errors) != by_place(normal.errors):
            # Of errors that race for the same null, the first hides the others.
            assert bool(errors) == bool(normal.errors)
            every = await every_error(*asked, self._root(seed), [])
            assert all(each in every for each in errors)
        elif not self._world.is_async:
            assert errors == normal.errors

    def _root(self, seed: int) -> Any:
        return self._values.root(self._kind, seed)

    def _effects(self, log: list[Any]) -> list[Any]:
        """Leave of all that was done what a mutation is for, the order of which is promised."""
        return [each for each in log if ("Mutation", each[0]) in self._world.hows]


def by_place(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort errors where chance says which is found first."""
    return sorted(errors, key=repr)


async def prove(data: st.DataObject, *, is_async: bool) -> None:
    """Draw a world, an operation, and values for it, and compare what comes of them."""
    world = data.draw(worlds(is_async=is_async))
    asked = data.draw(operations(world, _TIMES))
    compared = Compared(world, asked, Values(world, *data.draw(unexpected_kinds(is_async=is_async))))
    for raw in asked.variables:
        seed = data.draw(st.integers(0, 10_000))
        note(f"{print_schema(world.schema)}\n{world.hints}\n{world.hows}\n{asked.text}\n{raw}\n{seed}")
        await compared.answers(raw, seed)
        others = asyncio.all_tasks() - {asyncio.current_task()}  # what graphql-core has left to itself
        await asyncio.gather(*others, return_exceptions=True)


@_many
@given(st.data())
def test_plan_equals_graphql_core_without_awaiting(data: st.DataObject) -> None:
    asyncio.run(prove(data, is_async=False))


@_many
@given(st.data())
def _prove_with_awaiting(data: st.DataObject) -> None:
    asyncio.run(prove(data, is_async=True))


# graphql-core never begins some of what it gives up when a non-null error ends its siblings.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_plan_equals_graphql_core_with_awaiting() -> None:
    _prove_with_awaiting()
    gc.collect()  # else it is collected, and the warning given, in a test of another module


@settings(_many, max_examples=_EXAMPLES // 4)
@given(st.data())
def test_random_operations_are_valid(data: st.DataObject) -> None:
    world = data.draw(worlds(is_async=True))

    asked = data.draw(operations(world, 1))

    assert validate(world.schema, parse(asked.text)) == [], asked.text
