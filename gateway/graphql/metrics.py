"""The metrics of a server's operations and their store.

Must not be here: how metrics are served (`observability.metrics`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.graphql.execution.operations import Operations
    from gateway.observability.metrics import Reading


def readings(store: Store, operations: Operations) -> list[Reading]:
    """List the metrics, which are read at each scrape."""
    from gateway.observability.metrics import Reading  # noqa: PLC0415  (only a server with metrics needs it)

    kept = operations.documents.kept
    return [
        Reading("gateway_connections", "Database connections in use", store.connections, "pool"),
        Reading(
            "gateway_connections_limit", "Maximum number of database connections", store.connections_at_most, "pool"
        ),
        Reading("gateway_followers", "Open subscriptions", operations.hub.followers, "of"),
        Reading(
            "gateway_documents",
            "Cached GraphQL documents, and their estimated size in bytes",
            lambda: {"documents": len(kept), "bytes": kept.weight},
            "of",
        ),
        Reading(
            "gateway_document_lookups",
            "Lookups in the cache of GraphQL documents",
            lambda: {"hit": kept.hits, "miss": kept.misses},
            "outcome",
            is_counter=True,
        ),
        Reading(
            "gateway_operations",
            "GraphQL operations executed or subscribed to, by executor",
            operations.runner.executed,
            "way",
            is_counter=True,
        ),
    ]
