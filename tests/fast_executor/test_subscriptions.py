"""A plan of a subscription executes it for each event as graphql-core does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import pytest
from graphql import Executor, build_schema, execute_subscription_event, parse

from gateway.fast_executor.hints import Attribute, FieldHints, Resolver
from tests.fast_executor.comparison import plan_of, run_compiled, to_result

_SCHEMA: Final = build_schema("""
    type Tick { number: Int!, word: String }
    type Query { tick: Tick }
    type Subscription { ticked(from: Int! = 1): Tick!, other: Tick }
""")
_ROOT: Final = _SCHEMA.type_map["Subscription"].fields  # type: ignore[attr-defined]
_ROOT["ticked"].resolve = lambda event, _info, **_arguments: event
_TEXT: Final = (
    "subscription ($from: Int!, $short: Boolean!) { t: ticked(from: $from) { number word @skip(if: $short) } }"
)
_HINTS: Final = FieldHints(
    {
        ("Subscription", "ticked"): Resolver(lambda event, _context, _arguments: event),
        ("Tick", "number"): Attribute("number"),
        ("Tick", "word"): Attribute("word"),
    }
)


@pytest.mark.parametrize("hints", [_HINTS, FieldHints()], ids=["with hints", "without"])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(
    "event",
    [
        SimpleNamespace(number=1, word="one"),
        SimpleNamespace(number=1, word=None),
        SimpleNamespace(number=None, word="nothing"),
        SimpleNamespace(number="x", word="no number"),
        ValueError("no event"),
        None,
    ],
    ids=repr,
)
async def test_event_result_equals_graphql_core(event: Any, hints: FieldHints, *, short: bool) -> None:
    raw = {"from": 1, "short": short}
    executor: Any = Executor.build(_SCHEMA, parse(_TEXT), raw_variable_values=raw)
    normal: Any = execute_subscription_event(executor.build_per_event_executor(event))

    assert await run_compiled(plan_of(_SCHEMA, _TEXT, hints), raw, event) == to_result(normal)
