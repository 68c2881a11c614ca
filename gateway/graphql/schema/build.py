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
from gateway.graphql.schema.runs import Assistant, Run, RunStep
from gateway.graphql.schema.scalars import SCALARS
from gateway.graphql.schema.subscription import EVENT_TYPES, Subscription
from gateway.graphql.schema.types import Message, Thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLCompositeType

DEFINITION: Final = "strawberry-definition"  # the extension of graphql-core's fields and types with Strawberry's own
_NO_TYPE: Final = GraphQLField(TypeMetaFieldDef.type, TypeMetaFieldDef.args, resolve=lambda _source, _info, **_: None)


@cache
def build_schema() -> strawberry.Schema:
    """Build the schema, once in a process: it holds no state."""
    built = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Thread, Message, Run, RunStep, Assistant, *EVENT_TYPES],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    _mark_one_of(built._schema)  # noqa: SLF001  (the only way to the schema that is executed)
    _limit_suggestions(built._schema)  # noqa: SLF001  (the same)
    return built


def _mark_one_of(schema: GraphQLSchema) -> None:
    """Mark `@oneOf` inputs for the rules of graphql-core, which Strawberry does not do.

    Without this a literal with two keys is valid if a variable of one of them is omitted.
    Source: GraphQL, "OneOf Input Objects", and its parts of "Values of Correct Type" and "All Variable Usages Are
    Allowed".
    """
    for kind in schema.type_map.values():
        if is_input_object_type(kind):
            kind.is_one_of = kind.extensions[DEFINITION].is_one_of


def _limit_suggestions(schema: GraphQLSchema) -> None:
    """Search suggestions for enum values only if the input is short: 1 MB took 100 ms and 35 MB of memory.

    graphql-core computes suggestions in every coercion, even if they are hidden.
    """
    for kind in schema.type_map.values():
        if is_enum_type(kind):
            kind.coerce_input_value = partial(_coerce_enum, kind.coerce_input_value)  # type: ignore[method-assign]


def _coerce_enum(coerce: Callable[[Any, bool], Any], value: Any, hide_suggestions: bool = False) -> Any:  # noqa: FBT001, FBT002  (graphql-core's own)
    is_short = type(value) is str and len(value) <= LONG_NAME
    return coerce(value, hide_suggestions or not is_short)


class _Closed(GraphQLSchema):
    """A schema in which `__type` finds no type."""

    def get_field(self, parent_type: GraphQLCompositeType, field_name: str) -> GraphQLField | None:
        if field_name == "__type" and parent_type is self.query_type:
            return _NO_TYPE
        return super().get_field(parent_type, field_name)


def without_introspection(schema: GraphQLSchema) -> GraphQLSchema:
    """Make the same schema without introspection.

    `__type` is null for every name, which hides the types, and still passes the audits of graphql-http, which query an
    unknown type. `limits` refuses `__schema`.
    """
    return _Closed(**schema.to_kwargs())


def print_schema() -> str:
    """Print the schema in GraphQL SDL."""
    return build_schema().as_str() + "\n"
