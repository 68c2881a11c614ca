from __future__ import annotations

from graphql import DocumentNode

from gateway.gql.documents import CACHED, MAX_TOKENS, open_documents
from gateway.gql.schema import build_schema

SCHEMA = build_schema()._schema  # noqa: SLF001  (Strawberry has no public name for it)


def test_a_text_is_parsed_and_validated_once() -> None:
    read = open_documents(SCHEMA)

    assert read("{ __typename }") is read("{ __typename }")


def test_no_more_texts_are_kept_than_decided() -> None:
    read = open_documents(SCHEMA)
    first = read("{ a0: __typename }")
    for n in range(1, CACHED + 1):
        read(f"{{ a{n}: __typename }}")

    assert read("{ a0: __typename }") is not first


def test_a_text_that_was_used_lately_is_kept() -> None:
    read = open_documents(SCHEMA)
    first = read("{ a0: __typename }")
    for n in range(1, CACHED + 1):
        read(f"{{ a{n}: __typename }}")
        read("{ a0: __typename }")

    assert read("{ a0: __typename }") is first


def test_a_text_of_as_many_tokens_as_may_be_is_read() -> None:
    read = open_documents(SCHEMA)

    assert isinstance(read(_text_of(MAX_TOKENS)), DocumentNode)


def test_a_text_of_too_many_tokens_is_refused() -> None:
    read = open_documents(SCHEMA)

    [error] = _errors(read(_text_of(MAX_TOKENS + 1)))

    assert f"more than {MAX_TOKENS} tokens" in error


def test_a_text_that_is_nested_too_deeply_is_refused() -> None:
    read = open_documents(SCHEMA)

    assert _errors(read("{ node(id: 1) " * 1_200 + "{ id }" + "}" * 1_200))


def test_what_does_not_stand_in_the_schema_is_refused() -> None:
    read = open_documents(SCHEMA)

    [error] = _errors(read("{ conversations }"))

    assert error == "Cannot query field 'conversations' on type 'Query'."


def test_fragments_that_would_unfold_to_a_million_fields_are_read_soon() -> None:
    read = open_documents(SCHEMA)
    fragments = " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(30))

    assert isinstance(read(f"{{ ...f0 }} {fragments} fragment f30 on Query {{ __typename }}"), DocumentNode)


def _text_of(tokens: int) -> str:
    """Write a query of so many tokens; all but twelve are ids."""
    return f"{{ nodes(ids: [{'1 ' * (tokens - 12)}]) {{ id }} }}"


def _errors(read: object) -> list[str]:
    assert isinstance(read, list)
    return [error.message for error in read]
