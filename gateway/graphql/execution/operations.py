"""The operations of one server, for all transports: find an operation, then run it or subscribe to it.

Must not be here: media types, statuses, frames (`transport`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.domain.principal import READ
from gateway.errors import TooManyRequests
from gateway.graphql.context import Context
from gateway.graphql.documents.cache import Documents
from gateway.graphql.documents.persisted import Persisted
from gateway.graphql.execution.runner import Runner, rate_limited
from gateway.graphql.refusal import Refused, Stage, refusal
from gateway.graphql.schema.build import without_introspection
from gateway.observability.record import current, span

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from graphql import ExecutionResult, GraphQLSchema

    from gateway.auth.authenticator import Authenticator
    from gateway.core import Store
    from gateway.domain.principal import Principal, Scope
    from gateway.events.hub import Hub
    from gateway.graphql.documents.cache import Document, Operation, SharedDocument
    from gateway.graphql.execution.runner import Outcome, Results
    from gateway.graphql.options import Options
    from gateway.graphql.parameters import Parameters
    from gateway.runs.service import Runs


class Operations:
    """The schema with the store, the event hub and the document caches."""

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
        self._runner = Runner(schema if options.introspection else without_introspection(schema), options)

    def context(self, who: Principal, resume_after: str | None = None) -> Context:
        """Make the context of an operation that the current task runs."""
        return Context(self._store, self.hub, who, self.authenticator, asyncio.current_task(), resume_after, self._runs)

    async def find(self, parameters: Parameters, who: Principal) -> Operation:
        """Find the operation of a request, and charge one unit of the caller's rate limit.

        Parsing and validating a new document is expensive, so a read is charged before it, and refunded if the
        operation is a mutation, which is charged as a write. `run` charges the rest of the cost.
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

    def run(self, operation: Operation, parameters: Parameters, context: Context) -> Awaitable[Outcome]:
        """Execute a query or mutation.

        Errors: Refused, when awaited.
        """
        return self._runner.run(operation, parameters, context)

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Cancel the query that a task executes, if any."""
        self._runner.leave(task)

    async def subscribe(
        self, operation: Operation, parameters: Parameters, context: Context
    ) -> Results | ExecutionResult:
        """Start a subscription; returns its results, or one result with the error that prevents it.

        Errors: Refused; Unavailable, also from the results.
        """
        with span("graphql.subscribe"):
            return await self._runner.subscribe(operation, parameters, context)

    def executed(self) -> dict[str, float]:
        """Return the number of executed operations, by executor."""
        return {"compiled": self._runner.compiled, "normal": self._runner.normal}

    async def close(self) -> None:
        """Wait for operations that were cancelled at their deadline."""
        await self._runner.close()


def _named(document: Document | SharedDocument, parameters: Parameters) -> Operation:
    operation = document.operation(parameters.operation_name)
    if operation is None:
        message = "Invalid 'operationName': expected the name of an operation in the document."
        raise refusal(Stage.OPERATION, "unknown_operation", message, param="operationName")
    return operation
