"""Query text to a document that may be executed: parsed and validated once, then kept.

Must not be here: execution, HTTP.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from graphql import GraphQLError, parse, validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import DocumentNode, GraphQLSchema

    Documents = Callable[[str], DocumentNode | list[GraphQLError]]

CACHED: Final = 500  # documents; an application has some dozens, and one costs about 50 KB
MAX_TOKENS: Final = 5_000  # GraphiQL's introspection query has under 400


def open_documents(schema: GraphQLSchema) -> Documents:
    """Make the function that reads query text; the texts used least lately make room for new ones."""

    @lru_cache(maxsize=CACHED)
    def read(text: str) -> DocumentNode | list[GraphQLError]:
        try:
            document = parse(text, max_tokens=MAX_TOKENS)
        except GraphQLError as error:
            return [error]
        return validate(schema, document) or document

    return read
