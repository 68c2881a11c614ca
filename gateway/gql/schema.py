"""The schema, built from its types; the committed `schema.graphql` is printed from here."""

from __future__ import annotations

from functools import cache

import strawberry
from strawberry.schema.config import StrawberryConfig

from gateway.gql.mutation import Mutation
from gateway.gql.query import Query
from gateway.gql.scalars import SCALARS
from gateway.gql.types import Message, Thread


@cache
def build_schema() -> strawberry.Schema:
    """Build the schema, once in a process: it holds no state."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        types=[Thread, Message],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def print_schema() -> str:
    """Write the schema in GraphQL's own language."""
    return build_schema().as_str() + "\n"
