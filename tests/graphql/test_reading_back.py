"""Mutations that select data which their caller must not read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from graphql import GraphQLObjectType, OperationDefinitionNode, get_named_type, is_interface_type, is_union_type, parse

from gateway.domain.principal import ALL_SCOPES, Principal, Reach, Scope
from gateway.graphql.execution.reading_back import _reads, refuse_reading_back
from gateway.graphql.schema.build import build_schema
from tests.pace import patience

if TYPE_CHECKING:
    from graphql import ExecutionResult

SCHEMA = build_schema()._schema  # noqa: SLF001
WRITER = Principal(Reach("p"), frozenset({Scope.WRITE}))


def refused(document: str, who: Principal = WRITER, **variables: Any) -> ExecutionResult | None:
    parsed = parse(document)
    [operation] = [each for each in parsed.definitions if isinstance(each, OperationDefinitionNode)]
    return refuse_reading_back(SCHEMA, parsed, operation, variables, who)


def test_payload_fields_that_read_the_store() -> None:
    found, pending = (
        set[str](),
        [get_named_type(each.type) for each in (SCHEMA.mutation_type or _none()).fields.values()],
    )
    seen = set[str]()
    while pending:
        kind: Any = pending.pop()
        if kind.name in seen:
            continue
        seen.add(kind.name)
        if is_union_type(kind) or is_interface_type(kind):
            pending += SCHEMA.get_possible_types(kind)
        elif isinstance(kind, GraphQLObjectType):
            pending += [get_named_type(each.type) for each in kind.fields.values()]
            found |= {f"{kind.name}.{name}" for name, each in kind.fields.items() if _reads(each)}

    assert found == {
        "CreateMessagePayload.thread",
        "DeleteMessagePayload.thread",
        "MarkReadPayload.thread",
        "Message.thread",
        "MessageConnection.pageInfo",
        "MessageConnection.totalCount",
        "Run.steps",
        "Run.thread",
        "RunConnection.pageInfo",
        "Thread.forkedFrom",
        "Thread.lastMessage",
        "Thread.messages",
        "Thread.preview",
        "Thread.readUpTo",
        "Thread.runs",
        "Thread.unreadCount",
    }


def _none() -> GraphQLObjectType:
    raise AssertionError("the schema has mutations")


@pytest.mark.parametrize(
    ("selection", "is_refused"),
    [
        ("message { id }", False),
        ("thread { id }", True),
        ("thread @skip(if: $yes) { id }", False),
        ("thread @include(if: $yes) { id }", True),
        ("thread @include(if: false) { id }", False),
        ("thread @include(if: true) @skip(if: true) { id }", False),
        ("... @include(if: $yes) { thread { id } }", True),
        ("... on CreateMessagePayload @skip(if: $yes) { thread { id } }", False),
        ("...F", True),
        ("...F @skip(if: $yes)", False),
        ("...F @skip(if: $yes) ...F", True),
        ("edge { node { content { __typename } } __typename }", False),
        ("edge { node { thread { __typename } } }", True),
    ],
)
def test_mutation_is_refused_only_for_included_fields(selection: str, *, is_refused: bool) -> None:
    document = (
        f'mutation($yes: Boolean!) {{ createMessage(input: {{threadId: "t", role: USER, content: {{text: "a"}}}}) '
        f"{{ {selection} }} }} fragment F on CreateMessagePayload {{ message {{ thread {{ id }} }} }}"
    )

    assert (refused(document, yes=True) is not None) is is_refused
    assert refused(document, Principal(Reach("p"), ALL_SCOPES), yes=True) is None


def test_each_fragment_is_visited_once() -> None:
    chain = " ".join(f"fragment F{n} on Message {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    document = (
        "mutation { createMessage(input: {}) { message { ...F0 } } } " + chain + " fragment F60 on Message { id }"
    )
    started = time.process_time()

    assert refused(document) is None
    assert time.process_time() - started < patience(
        1
    )  # twice as long for each of them would take longer than the world has
