"""Hints, and the fallback to resolvers for values that a hint did not promise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
import pytest
from graphql import build_schema, parse

from gateway.fast_executor.hints import (
    MARKER,
    Attribute,
    FieldHints,
    Key,
    Parsed,
    Preloaded,
    Resolver,
    SelectedField,
    Self,
    Serialized,
    Template,
)
from tests.fast_executor.comparison import plan_of, run_compiled, run_normally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SCHEMA: Final = build_schema("""
    enum Colour { RED GREEN }
    type Page { size: Int, words(first: Int! = 2): [String!], of: Page }
    type Query { colour: Colour, words: [String!]!, slow: Int, page: Page, none: Int }
""")
_COLOURS: Final = {"r": "RED", "g": "GREEN"}
_ROOT: Final = _SCHEMA.type_map["Query"].fields  # type: ignore[attr-defined]
_ROOT["colour"].resolve = lambda source, _info: _COLOURS[source.letter]
_WRITTEN: Final = FieldHints({("Query", "colour"): Serialized("letter", _COLOURS.__getitem__)})
_TEMPLATE: Final = Template("is_one", [MARKER], b'["', b'"]')


async def test_serialized_value_is_the_result() -> None:
    answer = await run_compiled(plan_of(_SCHEMA, "{ colour }", _WRITTEN), {}, SimpleNamespace(letter="g"))

    assert answer.data == b'{"colour":"GREEN"}'


@pytest.mark.parametrize("letter", ["g", "x", 5])
async def test_value_that_cannot_be_serialized_calls_the_resolver(letter: Any) -> None:
    root = SimpleNamespace(letter=letter)

    answer = await run_compiled(plan_of(_SCHEMA, "{ colour }", _WRITTEN), {}, root)

    assert answer == await run_normally(_SCHEMA, parse("{ colour }"), {}, root)


@pytest.mark.parametrize(
    "words",
    [
        ["plain"],
        [""],
        ['a "quote"'],
        ["back\\"],
        ["a", "b"],
        [],
        ['","'],
        ['a","b', "c"],
        ["🙂"],
        ["\\", "b"],
        ['"', '"'],
    ],
    ids=repr,
)
@pytest.mark.parametrize("template", [_TEMPLATE, None], ids=["template", "none"])
async def test_stored_json_is_read_with_a_template_and_without(words: list[str], template: Template | None) -> None:
    schema = build_schema("type Query { self: Row } type Row { words: [String!]! }")
    row = SimpleNamespace(words=words, stored=orjson.dumps(words), is_one=len(words) == 1)

    parsed = Parsed(orjson.loads, "stored", template)
    plan = plan_of(schema, "{ self { words } }", FieldHints({("Row", "words"): parsed}))
    answer = await run_compiled(plan, {}, SimpleNamespace(self=row))

    assert orjson.loads(answer.data) == {"self": {"words": words}}


_PARTS: Final = build_schema("""
    type Word { said: String!, at: Int, loud: Boolean! }
    type Gap { length: Int! }
    union Part = Word | Gap
    type Line { parts: [Part!]! }
    type Query { line: Line }
""")
_IN_JSON: Final = FieldHints(
    {("Query", "line"): Attribute("line"), ("Line", "parts"): Parsed(orjson.loads, "stored")},
    keys={
        ("Word", "said"): Key(("word", "said")),
        ("Word", "at"): Key(("at",), optional=True),
        ("Word", "loud"): lambda part: part["word"]["said"].isupper(),
        ("Gap", "length"): Key(("length",)),
    },
    tags={"word": "Word", "gap": "Gap", "other": "Other"},
)


async def test_objects_of_json_are_read_by_their_tags_and_keys() -> None:
    stored = [
        {"type": "word", "word": {"said": "A", "more": 1}, "at": 7},
        {"type": "gap", "length": 2, "said": "no"},
        {"type": "word", "word": {"said": "b"}},
    ]
    asked = "{ line { parts { __typename ... on Word { said at loud } ... on Gap { n: length } } } }"

    line = SimpleNamespace(stored=orjson.dumps(stored))
    answer = await run_compiled(plan_of(_PARTS, asked, _IN_JSON), {}, SimpleNamespace(line=line))

    assert orjson.loads(answer.data)["line"]["parts"] == [
        {"__typename": "Word", "said": "A", "at": 7, "loud": True},
        {"__typename": "Gap", "n": 2},
        {"__typename": "Word", "said": "b", "at": None, "loud": False},
    ]


@pytest.mark.parametrize("stored", ['[{"type":"x"}]', '[{"type":"gap"}]', "{}", "["])
async def test_json_that_is_not_as_expected_calls_the_resolver(stored: str) -> None:
    line = SimpleNamespace(stored=stored, parts=[])
    asked = "{ line { parts { ... on Word { said } ... on Gap { length } } } }"

    answer = await run_compiled(plan_of(_PARTS, asked, _IN_JSON), {}, SimpleNamespace(line=line))

    assert orjson.loads(answer.data) == {"line": {"parts": []}}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("page { words size }", [SelectedField("words", {"first": 2}, {}), SelectedField("size", {}, {})]),
        ("page { of { size ... { n: words } } }", [SelectedField("of", {}, None, frozenset({"size", "words"}))]),
        (
            "page { a: words(first: 1) b: words(first: $n) }",
            [SelectedField("words", {"first": 1}, {}), SelectedField("words", {"first": 7}, {})],
        ),
        ("page { size }", [SelectedField("size", {}, {})]),
        ("none", []),
    ],
)
async def test_resolver_gets_the_look_ahead(asked: str, expected: list[SelectedField]) -> None:
    seen: list[Sequence[SelectedField]] = []

    def resolve(
        _source: Any, _context: Any, _arguments: Any, look_ahead: Callable[[], Sequence[SelectedField]]
    ) -> None:
        seen.append(look_ahead())

    page = Resolver(resolve, wants_look_ahead=True)
    words = Resolver(lambda _source, _context, _arguments: [])
    hints = FieldHints({("Query", "page"): page, ("Query", "none"): page, ("Page", "words"): words})
    await run_compiled(plan_of(_SCHEMA, f"query ($n: Int = 7) {{ {asked} }}", hints), {})

    assert seen == [expected]


class Row(NamedTuple):
    """The named tuple that a row replaces."""

    a: str
    b: str
    c: str = "c"

    @property
    def both(self) -> str:
        """Something that is made of columns."""
        return self.a + self.b


_LISTS: Final = build_schema("""
    type Row { a: String!, b: String!, both: String! }
    type Item { node: Row! }
    type Page { rows: [Row!]!, items: [Item!]! }
    type Box { page: Page! }
    type Query { box: Box! }
""")
_ROWS: Final = [Row("a1", "b1"), Row("a2", "b2")]
_ALONE: Final[dict[tuple[str, str], Any]] = {
    ("Row", "a"): Serialized("a", plain=True),
    ("Row", "b"): Serialized("b"),
    ("Row", "both"): Attribute("both"),
}


def _paging(seen: list[Any], *, by_row: bool) -> FieldHints:
    """Make hints that return rows in the order of the look-ahead."""

    def box(_source: Any, _context: Any, _arguments: Any, look_ahead: Callable[[], Sequence[SelectedField]]) -> Any:
        [child] = look_ahead()
        seen.append(child.columns)
        rows = child.columns and [[getattr(row, name) for name in child.columns[Row]] for row in _ROWS]
        return SimpleNamespace(held=SimpleNamespace(whole=_ROWS, rows=rows if by_row else None))

    def unasked(_source: Any, _context: Any, _arguments: Any) -> Any:
        raise AssertionError("it is known")

    page = Resolver(lambda source, _context, _arguments: source.held)
    own: dict[str, Serialized | Self] = {"node": Self()}
    return FieldHints(
        {
            **_ALONE,
            ("Query", "box"): Resolver(box, wants_look_ahead=True),
            ("Box", "page"): page,
            ("Page", "rows"): Resolver(unasked, preloaded=Preloaded("whole", Row, rows="rows")),
            ("Page", "items"): Resolver(unasked, preloaded=Preloaded("whole", Row, own, rows="rows")),
        },
        {Row: "Row"},
    )


@pytest.mark.parametrize("by_row", [True, False], ids=["rows", "tuples"])
@pytest.mark.parametrize(
    ("asked", "columns", "expected"),
    [
        ("rows { b }", {Row: ("b",)}, {"rows": [{"b": "b1"}, {"b": "b2"}]}),
        (
            "items { node { x: b a } } rows { a }",
            {Row: ("a", "b")},
            {
                "items": [{"node": {"x": "b1", "a": "a1"}}, {"node": {"x": "b2", "a": "a2"}}],
                "rows": [{"a": "a1"}, {"a": "a2"}],
            },
        ),
        ("rows { both }", None, {"rows": [{"both": "a1b1"}, {"both": "a2b2"}]}),
        ("__typename", {}, {"__typename": "Page"}),
    ],
)
async def test_rows_are_read_if_only_columns_are_selected(
    asked: str, columns: Any, expected: dict[str, Any], *, by_row: bool
) -> None:
    seen: list[Any] = []
    hints = _paging(seen, by_row=by_row and bool(columns))

    answer = await run_compiled(plan_of(_LISTS, f"{{ box {{ page {{ {asked} }} }} }}", hints), {})

    assert seen == [columns]
    assert orjson.loads(answer.data) == {"box": {"page": expected}}
