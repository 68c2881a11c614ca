"""Operations of one server, whatever transport they come by: find the document, run it or subscribe to it.

Must not be here: media types, statuses, frames (`http`, `sse`, `websocket`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.domain.principal import Scope
from gateway.errors import TooManyRequests
from gateway.graphql.context import Context
from gateway.graphql.documents.cache import Documents
from gateway.graphql.documents.persisted import Persisted
from gateway.graphql.execution.runner import Runner, too_many
from gateway.graphql.refusal import Refused, Stage, refusal
from gateway.graphql.schema.build import without_introspection
from gateway.observability.record import current, span

if TYPE_CHECKING:
    from graphql import ExecutionResult, GraphQLSchema

    from gateway.auth.authenticator import Authenticator
    from gateway.core import Store
    from gateway.domain.principal import Principal
    from gateway.events.hub import Hub
    from gateway.graphql.documents.cache import Document, Operation
    from gateway.graphql.execution.runner import Ran, Results
    from gateway.graphql.options import Options
    from gateway.graphql.parameters import Parameters


class Operations:
    """The schema with all that its operations work on, and what is kept between them."""

    def __init__(
        self, schema: GraphQLSchema, store: Store, hub: Hub, options: Options, authenticator: Authenticator
    ) -> None:
        self.options = options
        self.authenticator = authenticator
        self._store = store
        self.hub = hub
        self._persisted = Persisted(options.trusted)
        self.documents = Documents(schema, introspection=options.introspection, suggestions=options.suggestions)
        self._runner = Runner(schema if options.introspection else without_introspection(schema), options)

    def context(self, who: Principal, resume_after: str | None = None) -> Context:
        """Make the context of one operation."""
        return Context(self._store, self.hub, who, self.authenticator, resume_after=resume_after)

    async def find(self, parameters: Parameters, who: Principal) -> Operation:
        """Find the operation that a request means, once its caller may do one more.

        A document that is not known yet costs its parsing and validation, so one read is taken before, and given back
        where the operation proves a write, which takes its own; of a known one the kind is known too. What else an
        operation costs is taken when it is run.
        Errors: Refused.
        """
        try:
            text = self._persisted.text_of(parameters)
        except Refused:
            await self.charge(who)
            raise
        document = self.documents.known(text)
        known = None if document is None else document.operation(parameters.operation_name)
        scope = Scope.READ if known is None else known.scope
        await self.charge(who, scope)
        operation = known or _named(document or self.documents.learn(text), parameters)
        if operation.scope is not scope:
            await self.charge(who, scope, -1)
            await self.charge(who, operation.scope)
        self._persisted.keep(parameters)
        if record := current.get():
            record.name_operation(operation.word, operation.name)
        return operation

    async def charge(self, who: Principal, scope: Scope = Scope.READ, units: int = 1) -> None:
        """Count what a caller does.

        Errors: Refused, where it does too much.
        """
        counting = self.authenticator.rate_limits.charge(who, scope, units)
        if counting is not None:
            try:
                await counting
            except TooManyRequests as error:
                raise too_many(error) from None

    async def run(self, operation: Operation, parameters: Parameters, context: Context) -> Ran:
        """Execute a query or mutation.

        Errors: Refused.
        """
        with span("graphql.execute"):
            return await self._runner.run(operation, parameters, context)

    async def subscribe(
        self, operation: Operation, parameters: Parameters, context: Context
    ) -> Results | ExecutionResult:
        """Begin a subscription: its results as they come, or the one result that says why there will be none.

        Errors: Refused; Unavailable, also from the results.
        """
        with span("graphql.subscribe"):
            return await self._runner.subscribe(operation, parameters, context)

    def executed(self) -> dict[str, float]:
        """Count the operations that were executed or followed, by whether a plan was kept for them."""
        return {"compiled": self._runner.compiled, "normal": self._runner.normal}

    async def close(self) -> None:
        """Wait for operations that were given up at their deadline."""
        await self._runner.close()


def _named(document: Document, parameters: Parameters) -> Operation:
    operation = document.operation(parameters.operation_name)
    if operation is None:
        message = "Expected 'operationName' to name one of the operations that the document has."
        raise refusal(Stage.OPERATION, "unknown_operation", message, param="operationName")
    return operation
