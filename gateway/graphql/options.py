"""The options of the GraphQL API; their values come from the settings.

Must not be here: reading the environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.domain import bounds
from gateway.graphql.documents.trusted import TrustedDocuments


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one server; the defaults suit development."""

    introspection: bool = True
    suggestions: bool = True
    graphiql: bool = True
    max_cost: int = 5_000  # objects; a hundred threads with twenty messages each are 4,301
    timeout_s: float = 10.0
    batch: int = 0
    body_size: int = bounds.GRAPHQL_BODY.number  # bytes
    compiled: bool = True
    by_draft: bool = False
    trusted: TrustedDocuments = field(default_factory=TrustedDocuments)
