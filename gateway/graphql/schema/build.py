"""The schema, built from its types; the committed `schema.graphql` is printed from here."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import strawberry
from graphql import GraphQLField, GraphQLSchema, TypeMetaFieldDef, is_enum_type, is_input_object_type
from strawberry.schema.config import StrawberryConfig

from gateway.fast_executor.variables import LONG_NAME
from gateway.graphql.schema.mutation import Mutation
from gateway.graphql.schema.query import Query
from gateway.graphql.schema.scalars import SCALARS
from gateway.graphql.schema.subscription import EVENT_TYPES, Subscription
from gateway.graphql.schema.types import Message, Thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLCompositeType

_NO_TYPE: Final = GraphQLField(TypeMetaFieldDef.type, TypeMetaFieldDef.args, resolve=lambda _source, _info, **_: None)


@cache
def build_schema() -> strawberry.Schema:
    """Build the schema, once in a process: it holds no state."""
    built = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Thread, Message, *EVENT_TYPES],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    _mark_one_of(built._schema)  # noqa: SLF001  (the only way to the schema that is executed)
    _suggest_for_words_alone(built._schema)  # noqa: SLF001  (the same)
    return built


def _mark_one_of(schema: GraphQLSchema) -> None:
    """Tell graphql-core which inputs are `@oneOf`, which Strawberry keeps to itself, so that its rules look at them.

    Without it a literal with two keys is valid where a variable of one of them is not given.
    Source: GraphQL, "OneOf Input Objects", and its parts of "Values of Correct Type" and "All Variable Usages Are
    Allowed".
    """
    for kind in schema.type_map.values():
        if is_input_object_type(kind):
            kind.is_one_of = kind.extensions["strawberry-definition"].is_one_of


def _suggest_for_words_alone(schema: GraphQLSchema) -> None:
    """Look for words of an enum that are near what was sent only where that is a word: 1 MB took 100 ms and 35 MB.

    Graphql-core asks for suggestions in the coercion of each value, whatever it was told, and throws them away.
    """
    for kind in schema.type_map.values():
        if is_enum_type(kind):
            kind.coerce_input_value = partial(_coerce_word, kind.coerce_input_value)  # type: ignore[method-assign]


def _coerce_word(coerce: Callable[[Any, bool], Any], value: Any, hide_suggestions: bool = False) -> Any:  # noqa: FBT001, FBT002  (graphql-core's own)
    is_word = type(value) is str and len(value) <= LONG_NAME
    return coerce(value, hide_suggestions or not is_word)


class _Closed(GraphQLSchema):
    """A schema in which `__type` finds no type."""

    def get_field(self, parent_type: GraphQLCompositeType, field_name: str) -> GraphQLField | None:
        if field_name == "__type" and parent_type is self.query_type:
            return _NO_TYPE
        return super().get_field(parent_type, field_name)


def without_introspection(schema: GraphQLSchema) -> GraphQLSchema:
    """Make a schema that is executed the same, but tells nothing of itself.

    `__type` is null for every name, so that nobody learns which types there are, and the audits of graphql-http,
    which ask for a type that no schema has, still find a server that answers. `__schema` is for `limits` to refuse.
    """
    return _Closed(**schema.to_kwargs())


def print_schema() -> str:
    """Write the schema in GraphQL's own language."""
    return build_schema().as_str() + "\n"
