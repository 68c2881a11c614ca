from __future__ import annotations

import pytest

from gateway.domain import bounds
from gateway.graphql.documents.cache import Documents
from gateway.graphql.documents.lru import LruCache
from gateway.graphql.refusal import Refused
from gateway.graphql.schema.build import build_schema
from tests.graphql.documents import document_of

SCHEMA = build_schema()._schema  # noqa: SLF001  (Strawberry has no public name for it)
_KEPT = 1_000_000  # bytes, instead of as many as a server keeps
_TEXT = 90_000  # characters of one large document
_MESSAGE = '{threadId: "thread_a", role: USER, content: {text: "x"}}'
_DELETE = 'deleteThread(input: {id: "thread_a"}) { deletedThreadId }'


@pytest.fixture
def documents() -> Documents:
    return Documents(SCHEMA)


def test_document_is_parsed_and_validated_once(documents: Documents) -> None:
    assert document_of(documents, "{ __typename }") is document_of(documents, "{ __typename }")


def test_cache_size_is_limited(documents: Documents) -> None:
    documents.kept = LruCache(_KEPT)
    first = document_of(documents, _large(0)).operation(None)
    _fill(documents)

    assert document_of(documents, _large(0)).operation(None) is not first
    assert documents.kept.weight <= _KEPT


def test_recently_used_document_stays_cached(documents: Documents) -> None:
    documents.kept = LruCache(_KEPT)
    first = document_of(documents, _large(0)).operation(None)
    _fill(documents, and_read=_large(0))

    assert document_of(documents, _large(0)).operation(None) is first


def test_invalid_document_keeps_no_syntax_tree(documents: Documents) -> None:
    for text in ("{ conversations }", "{"):
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                document_of(documents, text)

            assert [(each.nodes, each.source, each.__traceback__) for each in refused.value.errors] == [(None,) * 3]
            assert refused.value.errors[0].locations


def test_document_at_the_token_limit_is_parsed(documents: Documents) -> None:
    assert document_of(documents, _text_of(bounds.TOKENS.number))


def test_document_with_too_many_tokens_is_refused(documents: Documents) -> None:
    [error] = _errors(documents, _text_of(bounds.TOKENS.number + 1))

    assert str(bounds.TOKENS.number) in error


def test_document_nested_too_deeply_is_refused(documents: Documents) -> None:
    assert _errors(documents, "{ node(id: 1) " * 1_200 + "{ id }" + "}" * 1_200)


def test_unknown_field_is_refused(documents: Documents) -> None:
    [error] = _errors(documents, "{ conversations }")

    assert error == "Cannot query field 'conversations' on type 'Query'."


def test_errors_of_invalid_document_are_cached(documents: Documents) -> None:
    assert _errors(documents, "{ conversations }") == _errors(documents, "{ conversations }")


def _fill(documents: Documents, and_read: str | None = None) -> None:
    """Read as many documents as can be kept, and one again and again."""
    document_of(documents, _large(1))
    for n in range(2, _KEPT // (2 * _TEXT) + 1):
        document_of(documents, _large(n))
        if and_read is not None:
            document_of(documents, and_read)


def _large(number: int) -> str:
    """Write one of several queries of _TEXT characters."""
    query = f'{{ a{number}: node(id: "'
    return query + "x" * (_TEXT - len(query) - 10) + '") { id } }'


def _text_of(tokens: int) -> str:
    """Write a query of so many tokens; all but twelve are ids."""
    return f"{{ nodes(ids: [{'1 ' * (tokens - 12)}]) {{ id }} }}"


def _errors(documents: Documents, text: str) -> list[str]:
    with pytest.raises(Refused) as refused:
        document_of(documents, text)
    return [error.message for error in refused.value.errors]


@pytest.mark.parametrize(
    ("text", "is_cancellable"),
    [
        ("{ __typename }", True),
        (f"mutation {{ createMessage(input: {_MESSAGE}) {{ message {{ id }} }} }}", True),
        (f"mutation {{ createMessage(input: {_MESSAGE}) {{ message {{ id }} }} {_DELETE} }}", False),
        (f"mutation {{ ...createMessage }} fragment createMessage on Mutation {{ {_DELETE} }}", False),
    ],
    ids=["query", "one message", "and something else", "a fragment of that name"],
)
def test_only_single_create_message_mutation_is_cancellable(
    documents: Documents, text: str, *, is_cancellable: bool
) -> None:
    operation = document_of(documents, text).operation(None)

    assert operation is not None
    assert operation.is_cancellable is is_cancellable
