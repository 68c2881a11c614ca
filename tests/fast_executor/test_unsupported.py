from __future__ import annotations

from typing import Final

import pytest
from graphql import GraphQLSchema, build_schema, parse

from gateway.fast_executor.hints import FieldHints
from gateway.fast_executor.plan import Plan
from gateway.fast_executor.unsupported import Reason, Unsupported
from tests.fast_executor.comparison import operation_of, plan_of

_SCHEMA: Final = build_schema("""
    directive @slowly on FIELD
    type Query { word: String, self: Query }
""")
_CONDITIONS: Final = [f"$c{n}" for n in range(5)]


def _conditions(count: int) -> str:
    declared = ", ".join(f"{each}: Boolean!" for each in _CONDITIONS[:count])
    fields = " ".join(f"a{n}: word @skip(if: {each})" for n, each in enumerate(_CONDITIONS[:count]))
    return f"query ({declared}) {{ {fields} }}"


def _wide(selection_sets: int) -> str:
    return "{ " + " ".join(f"a{n}: self {{ word }}" for n in range(selection_sets - 1)) + " }"


_CASES: Final = {
    Reason.DIRECTIVE: [
        "{ word @slowly }",
        "{ ...Rest } fragment Rest on Query { self { word @slowly } }",
        "query @experimental_disableErrorPropagation { word }",
    ],
    Reason.CONDITIONS: [_conditions(5)],
    Reason.FRAGMENT_VARIABLES: ["{ ...Rest(a: 1) } fragment Rest($a: Int) on Query { word }"],
    Reason.SIZE: [_wide(401)],
    Reason.NO_ROOT: ["mutation { word }"],
}


def _refusal(schema: GraphQLSchema, text: str) -> Reason:
    document = parse(text, experimental_fragment_arguments=True, no_location=True)
    with pytest.raises(Unsupported) as refused:
        Plan(schema, document, operation_of(document), FieldHints())
    return refused.value.reason


@pytest.mark.parametrize(
    ("reason", "text"),
    [pytest.param(reason, text, id=reason.name) for reason, texts in _CASES.items() for text in texts],
)
def test_operation_is_unsupported_for(reason: Reason, text: str) -> None:
    assert _refusal(_SCHEMA, text) is reason


def test_every_unsupported_reason_has_a_case() -> None:
    assert set(_CASES) == set(Reason)


@pytest.mark.parametrize("text", [_conditions(4), _wide(400)], ids=["conditions", "selection sets"])
def test_operation_at_the_limits_is_compiled(text: str) -> None:
    assert plan_of(_SCHEMA, text)
