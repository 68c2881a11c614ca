"""The validation in one pass accepts ordinary documents, and none that graphql-core refuses."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import pytest
from graphql import GraphQLSyntaxError, parse, validate
from graphql.language import Lexer, Source, TokenKind
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bench.cases import documents
from gateway.graphql.documents.fast_validation import MAX_VISITS, FastValidation
from gateway.graphql.documents.limits import check_document
from gateway.graphql.documents.measure import NotMeasurable
from gateway.graphql.documents.validation import RULES
from gateway.graphql.refusal import Refused
from gateway.graphql.schema.build import build_schema
from tests.effort import times
from tests.fast_executor.corpus import load_cases
from tests.fast_executor.random_operations import operations
from tests.fast_executor.random_schemas import worlds
from tests.graphql.test_validation import CORPUS, STRICTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLSchema

_SCHEMA: Final = build_schema()._schema  # noqa: SLF001  (Strawberry has no public name for it)
_ROOT: Final = Path(__file__).parents[2]
_IN_MARKDOWN: Final = re.compile(r"```graphql\n(.*?)```", re.DOTALL)
_INTROSPECTS: Final = re.compile(r"__schema|__type\b")
_OF_DOCS: Final = [
    text
    for page in (_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md")))
    for text in _IN_MARKDOWN.findall(page.read_text(encoding="utf-8"))
]
_CASES: Final = [each.query for each in load_cases()]
_ORDINARY: Final = [text for text in (*_CASES, *_OF_DOCS, *documents.ALL) if not _INTROSPECTS.search(text)]
_UNDECIDED: Final = {
    "{ __schema { types { name } } }",
    "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
    # Types that exclude each other.
    '{ node(id: "a") { ... on Thread { a: id } ... on Message { a: threadId } } }',
}
_MUTATED: Final = times(fast=2_000, slow=40_000)
_NAMES: Final = ("id", "Query", "nodes", "skip", "on", "null", "String", "Thread", "a", "__typename", "ASC", "input")
_WORDS: Final = ("!", "...", "@", "{", "}", "(", ")", "[", "]", ":", "=", "$", "1", '"a"', "7.5", "2147483648", *_NAMES)


def _is_valid(schema: GraphQLSchema, text: str) -> bool:
    return not validate(schema, parse(text), RULES)


def _accepts(text: str) -> bool:
    document = parse(text)
    try:
        check_document(document)
    except NotMeasurable:
        return False
    return FastValidation(_SCHEMA).check(document) is not None


@pytest.mark.parametrize("text", _ORDINARY)
def test_ordinary_document_is_accepted(text: str) -> None:
    assert _accepts(text)


@pytest.mark.parametrize("text", [*CORPUS, *STRICTER])
def test_document_is_accepted_only_if_it_is_valid(text: str) -> None:
    assert _accepts(text) is (_is_valid(_SCHEMA, text) and text not in _UNDECIDED)


def test_document_with_too_many_visits_is_left_to_graphql_core() -> None:
    validation, spreads = FastValidation(_SCHEMA), " ".join(f"a{n}: node(id: 1) {{ ...F }}" for n in range(20))
    of_a_spread = MAX_VISITS // 20 - 2  # without the field and the spread itself

    at_most, too_many = (
        f"{{ {spreads} }} fragment F on Node {{ {'id ' * n} }}" for n in (of_a_spread, of_a_spread + 1)
    )

    assert validation.check(parse(at_most)) is not None
    assert validation.check(parse(too_many)) is None


def _words(text: str) -> list[str]:
    """Split a document into its tokens."""
    source, found = Source(text), list[str]()
    lexer = Lexer(source)
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        found.append(text[token.start : token.end])
    return found


def _mutations(words: list[str], chance: Random) -> Iterator[str]:
    """Change one to three tokens of a document: leave out, write twice, exchange, replace."""
    while True:
        changed = words.copy()
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(changed))
            length = chance.choice((0, 1, 1, 2, 3, 6))
            start = chance.randrange(len(changed))
            other = changed[start : start + chance.choice((0, 1, 1, 2, 3, 6))]
            changed[at : at + length] = [chance.choice(_WORDS)] if chance.random() < 0.3 else other
            if not changed:
                changed = words.copy()
        yield " ".join(changed)


def _check_mutations(schema: GraphQLSchema, text: str, chance: Random, count: int) -> int:
    """Check that no accepted mutation is invalid, and count those accepted."""
    validation, accepted = FastValidation(schema), 0
    for _, mutated in zip(range(count), _mutations(_words(text), chance), strict=False):
        try:
            document = parse(mutated)
            check_document(document)
        except (GraphQLSyntaxError, NotMeasurable, Refused):
            continue
        if validation.check(document) is not None:
            accepted += 1
            assert _is_valid(schema, mutated), mutated
    return accepted


def test_no_invalid_mutation_of_our_documents_is_accepted() -> None:
    chance, texts = Random(times(fast=1, slow=2)), [*_CASES, *_OF_DOCS, *CORPUS]  # noqa: S311  (the same each time)

    accepted = sum(_check_mutations(_SCHEMA, text, chance, 1 + _MUTATED // len(texts)) for text in texts)

    assert accepted > _MUTATED // 100


@settings(max_examples=times(fast=20, slow=2_000), phases=[Phase.reuse, Phase.generate, Phase.shrink])
@given(st.data())
def test_no_invalid_mutation_of_a_random_document_is_accepted(data: st.DataObject) -> None:
    world = data.draw(worlds(is_async=False))
    text = data.draw(operations(world, 1)).text

    assert _is_valid(world.schema, text)
    chance = Random(data.draw(st.integers(0, 10_000)))  # noqa: S311  (hypothesis draws its seed)
    _check_mutations(world.schema, text, chance, 20)
