"""Validation accepts and refuses the same documents as graphql-js 16; exceptions have their reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from gateway.graphql.documents.cache import Documents
from gateway.graphql.documents.validation import RULES
from gateway.graphql.refusal import Refused
from gateway.graphql.schema.build import build_schema, print_schema
from tests.clients.node import run
from tests.graphql.documents import document_of

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMA: Final = build_schema()._schema  # noqa: SLF001


def _message(content: str, declared: str = "", attachments: str = "") -> str:
    given = f'threadId: "thread_a", role: USER, content: {content}{attachments}'
    return f"mutation {declared} {{ createMessage(input: {{{given}}}) {{ message {{ id }} }} }}"


# At least one for each rule; the first of each pair of neighbours is nearly the other.
CORPUS: Final = [
    "{ __typename }",
    "{ nothing }",
    "{ threads }",
    "{ __typename { a } }",
    "{ threads { nodes { id } } }",
    "query A { __typename } query B { __typename }",
    "query A { __typename } query A { __typename }",
    "{ __typename } query A { __typename }",
    "type A { a: Int }",
    "{ ...F } fragment F on Query { __typename }",
    "{ ...F }",
    "{ __typename } fragment F on Query { __typename }",
    "{ ...F } fragment F on Query { ...F }",
    "{ ...F } fragment F on Query { __typename } fragment F on Query { __typename }",
    "{ ...F } fragment F on Metadata { a }",
    "{ ...F } fragment F on Nobody { a }",
    "{ ... on Thread { id } }",
    '{ node(id: "a") { ... on Thread { metadata } } }',
    '{ node(id: "a") { ... on PageInfo { endCursor } } }',
    '{ node(id: "a", id: "b") { id } }',
    "{ node { id } }",
    '{ node(id: "a", more: 1) { id } }',
    "{ node(id: null) { id } }",
    "{ node(id: 7) { id } }",
    "{ node(id: 7.5) { id } }",
    "{ node(id: [7]) { id } }",
    '{ nodes(ids: "a") { id } }',
    '{ nodes(ids: ["a", null]) { id } }',
    "{ threads(first: 2147483648) { nodes { id } } }",
    '{ threads(first: "2") { nodes { id } } }',
    "{ threads(order: ASC) { nodes { id } } }",
    '{ threads(order: "ASC") { nodes { id } } }',
    "{ threads(order: UP) { nodes { id } } }",
    "{ threads(order: null) { nodes { id } } }",
    "query ($n: Int) { threads(first: $n) { nodes { id } } }",
    "query ($n: String) { threads(first: $n) { nodes { id } } }",
    "query ($n: Int, $n: Int) { threads(first: $n) { nodes { id } } }",
    "query ($n: Int) { __typename }",
    "query { threads(first: $n) { nodes { id } } }",
    "query ($n: Thread) { threads(first: $n) { nodes { id } } }",
    "query ($o: SortOrder) { threads(order: $o) { nodes { id } } }",
    "query ($o: SortOrder = null) { threads(order: $o) { nodes { id } } }",
    "query ($id: ID) { node(id: $id) { id } }",
    'query ($id: ID = "a") { node(id: $id) { id } }',
    "query ($ids: [ID]) { nodes(ids: $ids) { id } }",
    "{ a: __typename @skip(if: true) }",
    "{ a: __typename @skip }",
    "{ a: __typename @skip(if: true) @skip(if: false) }",
    "{ a: __typename @nothing }",
    "query @skip(if: true) { __typename }",
    '{ node(id: "a") { id } node(id: "b") { id } }',
    '{ node(id: "a") { ... on Thread { a: createdAt } ... on Message { a: text } } }',
    '{ node(id: "a") { ... on Thread { a: id } ... on Message { a: threadId } } }',
    'subscription { messageAdded(threadId: "a") { cursor } }',
    'subscription { a: messageAdded(threadId: "a") { cursor } b: messageAdded(threadId: "a") { cursor } }',
    "subscription { __typename }",
    "subscription { ...F } fragment F on Subscription { __typename }",
    "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
    'mutation { createThread(input: {metadata: {a: "b"}}) { thread { id } } }',
    'mutation { createThread(input: {owner: "a", owner: "b"}) { thread { id } } }',
    "mutation { createThread(input: {more: 1}) { thread { id } } }",
    "mutation { createThread(input: {metadata: {a: $b}}) { thread { id } } }",
    'mutation { createThreadToken(input: {threadId: "a", access: null}) { token } }',
    _message('{text: "a"}'),
    _message("{}"),
    _message("{text: null}"),
    _message('{text: "a", parts: []}'),
    _message('{text: "a", parts: null}'),
    _message('{text: "a", more: 1}'),
    _message('{text: "a", parts: $p}', "($p: [ContentPartInput!]!)"),
    _message('{text: "a", parts: $p}', "($p: [ContentPartInput!])"),
    _message("{text: $t, parts: $p}", "($t: String!, $p: [ContentPartInput!]!)"),
    _message("{text: $t}", "($t: String!)"),
    _message("{text: $t}", '($t: String! = "a")'),
    _message("{parts: [{text: $t}]}", "($t: String!)"),
    _message('{parts: [{text: "a", imageUrl: {url: "a"}}]}'),
    _message('{parts: [{text: $t, imageUrl: {url: "a"}}]}', "($t: String!)"),
    _message("$c", "($c: MessageContentInput!)"),
    _message("$c", "($c: MessageContentInput)"),
    _message("$c", '($c: MessageContentInput! = {text: "a", parts: []})'),
    _message("$c", '($c: MessageContentInput! = {text: "a"})'),
    _message('{text: "a"}', attachments=', attachments: {fileId: "f", tools: []}'),
    _message('{text: "a"}', attachments=', attachments: [{fileId: "f"}]'),
]
# Refused here alone: the specification's IsNonNullPosition, which graphql-js 16 does not apply to non-null types.
STRICTER: Final = [
    _message("{text: $t}", "($t: String)"),
    _message("{text: $t}", '($t: String = "a")'),
    _message("{parts: $p}", "($p: [ContentPartInput!])"),
    _message("{parts: [{text: $t}]}", "($t: String)"),
]


def _is_valid(text: str) -> bool:
    try:
        document_of(Documents(_SCHEMA), text)
    except Refused:
        return False
    return True


@pytest.mark.uncounted
def test_validation_matches_graphql_js(node_clients: Path, tmp_path: Path) -> None:
    schema, documents, script = tmp_path / "schema.graphql", tmp_path / "documents.json", node_clients / "validate.mjs"
    schema.write_text(print_schema())
    documents.write_text(json.dumps([*CORPUS, *STRICTER]))
    report = json.loads(run(script, schema, documents))

    judged = [_is_valid(text) for text in CORPUS]
    theirs = dict(zip([*CORPUS, *STRICTER], report["valid"], strict=True))

    assert {text: theirs[text] for text in CORPUS} == dict(zip(CORPUS, judged, strict=True))
    assert [theirs[text] for text in STRICTER] == [True] * len(STRICTER)  # else our own rule is theirs by now
    assert {name.removeprefix("Unhinted") for name in _names()} >= set(report["rules"])
    assert 20 < sum(judged) < len(CORPUS) - 20  # both sides are tried


def _names() -> set[str]:
    return {rule.__name__ for rule in RULES}


@pytest.mark.parametrize("text", STRICTER)
def test_one_of_variable_is_non_null(text: str) -> None:
    assert not _is_valid(text)
