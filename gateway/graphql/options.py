"""The options of the GraphQL API; their values come from the settings.

Must not be here: reading the environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.domain import bounds
from gateway.graphql.documents.trusted import TrustedDocuments, load_trusted

if TYPE_CHECKING:
    from gateway.settings.table import Settings


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
    by_draft: bool = False
    trusted: TrustedDocuments = field(default_factory=TrustedDocuments)


def options_of(settings: Settings) -> Options:
    """Read the options from the settings.

    Errors: InvalidSetting where the trusted documents cannot be read.
    """
    return Options(
        introspection=settings.introspection,
        suggestions=settings.suggestions,
        graphiql=settings.graphiql,
        max_cost=settings.graphql_cost,
        timeout_s=settings.graphql_timeout_s,
        batch=settings.graphql_batch,
        body_size=settings.graphql_body,
        by_draft=settings.graphql_http == "draft-2026-08",
        trusted=load_trusted(settings.trusted_documents, settings.trusted_mode),
    )
