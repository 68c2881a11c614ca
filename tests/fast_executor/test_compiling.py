from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from graphql import build_schema
from graphql.execution.values import VariableValues

from gateway.fast_executor.compiling import Generated, Later, _code
from gateway.fast_executor.hints import Attribute, FieldHints
from tests.fast_executor.comparison import plan_of

_OWN = SimpleNamespace(own=SimpleNamespace(rows=[SimpleNamespace(id="a")]))
_TEXT = "def read(source, meter):\n return source + more"


@pytest.mark.parametrize(("length", "is_shared"), [(2_000, True), (2_001, False)])
def test_equal_short_texts_share_their_code(length: int, *, is_shared: bool) -> None:
    text = f"{_TEXT}#{'x' * (length - len(_TEXT) - 1)}"

    one: Any = Generated(text, {"more": 1}).read
    other: Any = Generated(text, {"more": 2}).read

    assert (one(1, None), other(1, None)) == (2, 3)
    assert (one.__code__ is other.__code__) is is_shared


def test_documents_that_differ_in_an_alias_of_a_list_share_the_code_of_its_readers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schema = build_schema("type Query { own: Own } type Own { rows: [Row!]! } type Row { id: ID! }")
    hints = FieldHints({key: Attribute(key[1]) for key in (("Query", "own"), ("Own", "rows"), ("Row", "id"))})
    compiled = Counter[str]()

    def code(text: str) -> Any:
        compiled[text] += 1
        return _code(text)

    monkeypatch.setattr("gateway.fast_executor.compiling._short_code", code)

    for alias in ("one", "other"):
        plan = plan_of(schema, f"{{ own {{ {alias}: rows {{ id }} }} }}", hints)
        answer: Any = plan.execute(VariableValues({}, {}), root_value=_OWN)
        assert orjson.loads(orjson.dumps(answer.data)) == {"own": {alias: [{"id": "a"}]}}

    assert list(compiled.values()) == [2]


def test_later_reader_is_generated_once_and_when_it_is_called() -> None:
    generated = []

    def generate() -> Any:
        generated.append(1)
        return lambda source, _meter: source

    read = Later(generate)
    assert not generated

    assert [read(n, None) for n in (1, 2)] == [1, 2]
    assert len(generated) == 1
