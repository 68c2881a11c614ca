"""Documents that differ in literals alone share one plan, and are answered as if each had its own."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from gateway.domain import bounds
from gateway.graphql.documents import cache
from gateway.graphql.documents.cache import Documents
from gateway.graphql.documents.lru import LruCache
from gateway.graphql.literals import split
from gateway.graphql.refusal import Refused
from gateway.graphql.schema.build import build_schema
from tests.effort import times
from tests.fast_executor.corpus import Case, both_faces, fill, load_cases
from tests.graphql.documents import document_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.fast_executor.corpus import Face

_SCHEMA: Final = build_schema()._schema  # noqa: SLF001  (Strawberry has no public name for it)
_VARIANTS: Final = times(fast=1, slow=60)
_STRINGS: Final = (
    '""',
    '"thread_alpha"',
    '"msg_a1"',
    '"ü 🙂"',
    r'"a\n\"b\" \u00fc \ud83d\ude42"',
    r'"\u{1F642}"',
    '"' + "long " * 60 + '"',
)
_INTEGERS: Final = ("0", "1", "7", "100", "101", "-1", "2147483647", "2147483648", "99999999999999999999")


@pytest.fixture
def documents() -> Documents:
    return Documents(_SCHEMA)


def _message(text: str) -> str:
    return f'mutation {{ createMessage(input: {{threadId: "a", role: USER, content: {text}}}) {{ message {{ id }} }} }}'


SHARED: Final = {
    "strings": ('{ node(id: "a") { id } }', '{ node(id: "thread_b") { id } }'),
    "integers": ("{ threads(first: 1) { nodes { id } } }", "{ threads(first: 20) { nodes { id } } }"),
    "an integer as an ID": ("{ node(id: 1) { id } }", "{ node(id: 22) { id } }"),
    "one for a list": ('{ nodes(ids: "a") { id } }', '{ nodes(ids: "bc") { id } }'),
    "a list": ('{ nodes(ids: ["a", 1]) { id } }', '{ nodes(ids: ["bc", 2]) { id } }'),
    "an object": (_message('{text: "a"}'), _message(r'{text: "a \"quotation\" \u00e4"}')),
    "an object of a scalar": (
        'mutation { createThread(input: {toolResources: {a: ["b", 1, 1.5, true, null, C]}}) { thread { id } } }',
        'mutation { createThread(input: {toolResources: {a: ["", 23, 1.5, true, null, C]}}) { thread { id } } }',
    ),
    "a variable within": (
        _message('{text: "a"}').replace('"a"', "$t", 1).replace("mutation", "mutation ($t: ID!)"),
        _message('{text: "bc"}').replace('"a"', "$t", 1).replace("mutation", "mutation ($t: ID!)"),
    ),
    "a fragment": (
        '{ thread(id: "a") { ...F } } fragment F on Thread { messages(first: 1) { nodes { id } } }',
        '{ thread(id: "b") { ...F } } fragment F on Thread { messages(first: 2) { nodes { id } } }',
    ),
    "a comment with a quotation mark": ('{ node(id: "a") { id } } # "1', '{ node(id: "b") { id } } # "1'),
    "digits in names": ('{ a1: node(id: "a") { b2: id } }', '{ a1: node(id: "b") { b2: id } }'),
}
APART: Final = {
    "a name": ('{ a: node(id: "a") { id } }', '{ b: node(id: "a") { id } }'),
    "digits in a name": ('{ a1: node(id: "a") { id } }', '{ a2: node(id: "a") { id } }'),
    "a kind of literal": ('{ node(id: "1") { id } }', "{ node(id: 1) { id } }"),
    "an enum": (
        "{ threads(first: 1, order: ASC) { nodes { id } } }",
        "{ threads(first: 1, order: DESC) { nodes { id } } }",
    ),
    "white space": ('{ node(id: "a") { id } }', '{ node(id: "a")  { id } }'),
    "a block string": ('{ node(id: """a""") { id } }', '{ node(id: """b""") { id } }'),
    "a default": (
        'query ($n: Int = 1) { node(id: "a") { id } threads(first: $n) { nodes { id } } }',
        'query ($n: Int = 2) { node(id: "a") { id } threads(first: $n) { nodes { id } } }',
    ),
    "an integer that is too large": (
        "{ threads(first: 1) { nodes { id } } threads(first: 1) { nodes { id } } }",
        "{ threads(first: 2) { nodes { id } } threads(first: 2) { nodes { id } } }",
    ),
    "operations": (
        'query A { node(id: "a") { id } } query B { __typename }',
        'query A { node(id: "b") { id } } query B { __typename }',
    ),
    "a subscription": (
        'subscription { messageAdded(threadId: "a") { cursor } }',
        'subscription { messageAdded(threadId: "b") { cursor } }',
    ),
    "beside a variable in a list": (
        'query ($i: ID!) { nodes(ids: [$i, "a"]) { id } }',
        'query ($i: ID!) { nodes(ids: [$i, "b"]) { id } }',
    ),
    "a control character": ('{ node(id: "a") { id } }', '{ node(id: "a\x00\t") { id } }'),
    "an escape of GraphQL alone": ('{ node(id: "a") { id } }', r'{ node(id: "\u{61}") { id } }'),
}


@pytest.mark.parametrize("texts", SHARED.values(), ids=SHARED)
def test_documents_that_differ_in_literals_share_one(documents: Documents, texts: tuple[str, str]) -> None:
    first, second = (document_of(documents, each).operation(None) for each in texts)

    assert first is not None
    assert first is second
    assert len(documents.kept) == 1
    assert [each.operation(None) for each in map(documents.cached, texts) if each] == [first, first]


@pytest.mark.parametrize("texts", APART.values(), ids=APART)
def test_documents_that_differ_in_more_are_apart(documents: Documents, texts: tuple[str, str]) -> None:
    first, second = (document_of(documents, each).operation("A" if "query A" in each else None) for each in texts)

    assert first is not second
    assert len(documents.kept) == 2
    assert document_of(documents, texts[0]).operation("A" if "query A" in texts[0] else None) is first


INVALID: Final = {
    "an integer beyond 32 bits": (
        "{ threads(first: 1) { nodes { id } } }",
        "{ threads(first: 2147483648) { nodes { id } } }",
    ),
    "other arguments of fields that merge": (
        '{ a: node(id: "a") { id } a: node(id: "a") { id } }',
        '{ a: node(id: "a") { id } a: node(id: "b") { id } }',
    ),
    "half an emoji": ('{ node(id: "a") { id } }', r'{ node(id: "\ud83d") { id } }'),
    "a line break": ('{ node(id: "a") { id } }', '{ node(id: "a\n") { id } }'),
    "an unknown escape": ('{ node(id: "a") { id } }', r'{ node(id: "\x") { id } }'),
    "a string that does not end": ('{ node(id: "a") { id } }', '{ node(id: "a) { id } }'),
    "the common text of others": ('{ node(id: "a") { id } }', '{ node(id: \x00") { id } }'),
    "too many characters": ('{ node(id: "a") { id } }', f'{{ node(id: "{"a" * 1_000_000}") {{ id }} }}'),
}


@pytest.mark.parametrize("texts", INVALID.values(), ids=INVALID)
def test_invalid_document_has_the_errors_that_it_has_alone(documents: Documents, texts: tuple[str, str]) -> None:
    valid, invalid = texts
    document_of(documents, valid)

    with pytest.raises(Refused) as refused:
        document_of(documents, invalid)
    with pytest.raises(Refused) as alone:
        document_of(Documents(_SCHEMA), invalid)

    assert [each.formatted for each in refused.value.errors] == [each.formatted for each in alone.value.errors]


def test_cached_document_is_gone_with_the_one_that_it_shares(documents: Documents) -> None:
    text, other = SHARED["strings"]
    document_of(documents, text)
    documents.kept = LruCache(cache.KEPT)

    assert documents.cached(text) is None
    document_of(documents, other)
    assert documents.cached(text) is None  # its literals are those of another document
    assert document_of(documents, text).operation(None) is document_of(documents, other).operation(None)


def test_many_literals_do_not_fill_the_cache(documents: Documents) -> None:
    documents.literals = LruCache(20_000)
    for n in range(100):
        document_of(documents, f'{{ node(id: "thread_{n}") {{ id }} }}')

    assert len(documents.kept) == 1
    assert 0 < documents.literals.weight <= 20_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("literals") / "filled.db"
    asyncio.run(fill(file))
    return file


@pytest.fixture
async def faces(filled: Path) -> AsyncIterator[tuple[Face, Face]]:
    async with both_faces(filled) as both:
        yield both


def _variant(text: str, chance: Random) -> str:
    """Replace some literals of a document by others of their kind."""
    own = split(text)
    at, parts = 0, list[str]()
    for each in own.tokens if own else ():
        others = _STRINGS if each.text.startswith('"') else _INTEGERS
        parts += (text[at : each.start], chance.choice(others) if chance.random() < 0.4 else each.text)
        at = each.end
    return "".join([*parts, text[at:]])


async def _answers(face: Face, patch: pytest.MonkeyPatch, case: Case, *, shares: bool) -> list[str]:
    with patch.context() as own:
        if not shares:
            own.setattr(cache, "split", lambda _text: None)
        return await face.answers(case)


# Literals before errors, on the same line and on lines of their own, and errors of variables beside literals.
_ERRORS: Final = Case(
    "errors",
    """query ($x: Int = 5, $y: SortOrder) { a: thread(id: "thread_alpha") { messages(first: 7) { nodes { id } }
      b: messages(first: 101, order: $y) { nodes { id } } c: messages(
        first: 0) { nodes { id } } }
        d: nodes(ids: ["thread_alpha", "msg_a1"]) { id } threads(first: $x) { nodes { id } } }""",
    [{}, {"x": 0}, {"y": "UP", "x": "no"}],
)
_CASES: Final = [each for each in (*load_cases(), _ERRORS) if split(each.query)]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("executor", [0, 1], ids=["compiled", "normal"])
@pytest.mark.uncounted
async def test_answers_are_those_of_documents_alone(
    case: Case, executor: int, faces: tuple[Face, Face], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other face executes as graphql-core does, document by document."""
    chance = Random(case.name)  # noqa: S311  (the same each time)
    for _ in range(_VARIANTS):
        varied = replace(case, query=_variant(case.query, chance))

        shared = await _answers(faces[executor], monkeypatch, varied, shares=True)

        assert shared == await _answers(faces[1 - executor], monkeypatch, varied, shares=False), varied.query


def test_text_with_more_literals_than_tokens_is_not_split() -> None:
    assert split("1 " * bounds.TOKENS.number) is not None
    assert split("1 " * (bounds.TOKENS.number + 1)) is None


def test_text_is_split_at_its_literals_alone() -> None:
    text = '{ a1(b: "x", c: -1, d: 0, e: 1.5, f: 1e5, g: "") } # "c" 1\n """ "x" 1 """ 12'

    own = split(text)

    assert own is not None
    assert [each.text for each in own.tokens] == ['"x"', "-1", "0", '""', "12"]
    assert all(text[each.start : each.end] == each.text for each in own.tokens)
    assert len(re.findall(b"\x00", own.common)) == len(own.tokens)
