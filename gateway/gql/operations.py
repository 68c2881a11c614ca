"""Operations of one server, whatever transport they come by: find the document, run it or subscribe to it.

Must not be here: media types, statuses, frames (`over_http`, `over_sse`, `over_ws`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.facts import current, step
from gateway.gql.context import Context
from gateway.gql.documents import Documents
from gateway.gql.persisted import Persisted
from gateway.gql.refused import Stage, refusal
from gateway.gql.run import Runner
from gateway.gql.schema import without_introspection

if TYPE_CHECKING:
    from graphql import ExecutionResult, GraphQLSchema

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from gateway.events.hub import Hub
    from gateway.gql.documents import Operation
    from gateway.gql.options import Options
    from gateway.gql.parameters import Parameters
    from gateway.gql.run import Ran, Results
    from gateway.web.authenticate import Gatekeeper


class Operations:
    """The schema with all that its operations work on, and what is kept between them."""

    def __init__(self, schema: GraphQLSchema, store: Store, hub: Hub, options: Options, gatekeeper: Gatekeeper) -> None:
        self.options = options
        self.gatekeeper = gatekeeper
        self._store = store
        self.hub = hub
        self._persisted = Persisted(options.trusted)
        self.documents = Documents(schema, introspection=options.introspection, suggestions=options.suggestions)
        self._runner = Runner(schema if options.introspection else without_introspection(schema), options)

    def context(self, who: Principal, resume_after: str | None = None) -> Context:
        """Make the context of one operation."""
        return Context(self._store, self.hub, who, self.gatekeeper, resume_after=resume_after)

    def find(self, parameters: Parameters) -> Operation:
        """Find the operation that a request means.

        Errors: Refused.
        """
        document = self.documents.read(self._persisted.text_of(parameters))
        self._persisted.keep(parameters)
        operation = document.operation(parameters.operation_name)
        if operation is None:
            message = "Expected 'operationName' to name one of the operations that the document has."
            raise refusal(Stage.OPERATION, "unknown_operation", message, param="operationName")
        if facts := current.get():
            facts.name_operation(operation.word, operation.name)
        return operation

    async def run(self, operation: Operation, parameters: Parameters, context: Context) -> Ran:
        """Execute a query or mutation.

        Errors: Refused.
        """
        with step("graphql.execute"):
            return await self._runner.run(operation, parameters, context)

    async def subscribe(
        self, operation: Operation, parameters: Parameters, context: Context
    ) -> Results | ExecutionResult:
        """Begin a subscription: its results as they come, or the one result that says why there will be none.

        Errors: Refused; Unavailable, also from the results.
        """
        with step("graphql.subscribe"):
            return await self._runner.subscribe(operation, parameters, context)

    def executed(self) -> dict[str, float]:
        """Count the operations that were executed or followed, by whether a plan was kept for them."""
        return {"compiled": self._runner.compiled, "normal": self._runner.normal}

    async def close(self) -> None:
        """Wait for operations that were given up at their deadline."""
        await self._runner.close()
