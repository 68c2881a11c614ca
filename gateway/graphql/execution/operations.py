"""The operations of one server, for all transports: find the one of a request, which the runner then runs.

Must not be here: media types, statuses, frames (`transport`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.domain.principal import READ
from gateway.errors import TooManyRequests
from gateway.graphql.context import Context
from gateway.graphql.documents.cache import Documents
from gateway.graphql.documents.persisted import Persisted
from gateway.graphql.execution.runner import Runner, rate_limited
from gateway.graphql.refusal import Refused, Stage, refusal
from gateway.graphql.schema.build import without_introspection
from gateway.observability.record import current

if TYPE_CHECKING:
    from graphql import GraphQLSchema

    from gateway.auth.authenticator import Authenticator
    from gateway.core import Store
    from gateway.domain.principal import Principal, Scope
    from gateway.events.hub import Hub
    from gateway.graphql.documents.cache import Document, Operation, SharedDocument
    from gateway.graphql.options import Options
    from gateway.graphql.parameters import Parameters
    from gateway.runs.service import Runs


class Operations:
    """What transports need of a server: its documents, what operations read, and `runner`, which runs them."""

    def __init__(
        self,
        schema: GraphQLSchema,
        store: Store,
        hub: Hub,
        options: Options,
        authenticator: Authenticator,
        *,
        runs: Runs | None = None,
    ) -> None:
        self.options = options
        self.authenticator = authenticator
        self._store = store
        self._runs = runs
        self.hub = hub
        self._persisted = Persisted(options.trusted)
        self.documents = Documents(schema, introspection=options.introspection, suggestions=options.suggestions)
        self.runner = Runner(schema if options.introspection else without_introspection(schema), options)

    def context(self, who: Principal, resume_after: str | None = None) -> Context:
        """Make the context of an operation that the current task runs."""
        return Context(self._store, self.hub, who, self.authenticator, asyncio.current_task(), resume_after, self._runs)

    async def find(self, parameters: Parameters, who: Principal) -> Operation:
        """Find the operation of a request, and charge one unit of the caller's rate limit.

        Parsing and validating a new document is expensive, so a read is charged before it, and refunded if the
        operation is a mutation, which is charged as a write. `Runner.run` charges the rest of the cost.
        Errors: Refused.
        """
        try:
            text = self._persisted.text_of(parameters)
        except Refused:
            await self.charge(who)
            raise
        document = self.documents.cached(text)
        known = None if document is None else document.operation(parameters.operation_name)
        scope = READ if known is None else known.scope
        await self.charge(who, scope)
        document = document or self.documents.load(text)
        operation = known or _named(document, parameters)
        parameters.literals = document.literals
        if operation.scope is not scope:
            await self.charge(who, scope, -1)
            await self.charge(who, operation.scope)
        self._persisted.keep(parameters)
        if record := current.get():
            record.name_operation(operation.kind_name, operation.name)
        return operation

    async def charge(self, who: Principal, scope: Scope = READ, units: int = 1) -> None:
        """Charge units of a caller's rate limit.

        Errors: Refused if the limit is exceeded.
        """
        counting = self.authenticator.rate_limits.charge(who, scope, units)
        if counting is not None:
            try:
                await counting
            except TooManyRequests as error:
                raise rate_limited(error) from None


def _named(document: Document | SharedDocument, parameters: Parameters) -> Operation:
    operation = document.operation(parameters.operation_name)
    if operation is None:
        message = "Invalid 'operationName': expected the name of an operation in the document."
        raise refusal(Stage.OPERATION, "unknown_operation", message, param="operationName")
    return operation
