"""The plan of an operation: everything about it that is prepared before it is executed.

Must not be here: how values are read (`readers`, `codegen`), one execution (`executor`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from graphql import (
    Executor,
    FragmentDefinitionNode,
    assert_valid_schema,
    default_field_resolver,
    default_type_resolver,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import VariableValues

from gateway.fast_executor.executor import CompiledExecutor
from gateway.fast_executor.meter import Meter, MeteredExecutor
from gateway.fast_executor.readers import is_awaitable
from gateway.fast_executor.selection import Selection
from gateway.fast_executor.unsupported import Reason, Unsupported, conditions_of
from gateway.fast_executor.variables import Coercion

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from graphql import DocumentNode, ExecutionResult, GraphQLSchema, OperationDefinitionNode

    from gateway.fast_executor.hints import FieldHints


class Plan:
    """A compiled operation of a valid document; `coerce` its variables, then `execute` it.

    Errors: Unsupported.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        hints: FieldHints,
        *,
        hide_suggestions: bool = False,
    ) -> None:
        assert_valid_schema(schema)
        if schema.get_root_type(operation.operation) is None:
            raise Unsupported(Reason.NO_ROOT)
        self._conditions = conditions_of(document, operation)
        self._schema, self._document, self._operation, self._hints = schema, document, operation, hints
        self._hides_suggestions = hide_suggestions
        self.coerce = Coercion(schema, operation, hide_suggestions=hide_suggestions).coerce
        self._prototypes: dict[tuple[Any, ...], CompiledExecutor] = {}  # by the values of the conditions, all booleans

    def execute(
        self, variables: VariableValues, context_value: Any = None, root_value: Any = None, meter: Meter | None = None
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Execute the operation; the result equals that of graphql-core, but objects may be JSON (`orjson.Fragment`).

        A subscription is executed for one event, the root value (GraphQL, 6.2.3.2, "ExecuteSubscriptionEvent").
        """
        values = tuple([variables.coerced.get(name) for name in self._conditions])
        prototype = self._prototypes.get(values)
        if prototype is None:
            if not all(isinstance(each, bool) for each in values):
                # graphql-core reports this as an error of the field that contains the condition.
                normal: Any = self._executor(MeteredExecutor, variables, context_value, root_value)
                normal.meter = meter or Meter()
                return cast("ExecutionResult | Awaitable[ExecutionResult]", normal.execute_operation())
            prototype = self._prototypes[values] = self._prototype(variables)
        execution = prototype.for_execution(root_value, context_value, variables, meter or Meter())
        return cast("ExecutionResult | Awaitable[ExecutionResult]", execution.execute_operation())

    def _prototype(self, variables: VariableValues) -> CompiledExecutor:
        """Make the executor that is copied for each execution with the same conditions."""
        prototype = cast("CompiledExecutor", self._executor(CompiledExecutor, self._without_values(variables)))
        prototype.selection = Selection(prototype, self._hints)
        return prototype

    def _without_values(self, variables: VariableValues) -> VariableValues:
        """Keep only the variables of conditions; the others may be megabytes of one request."""
        sources, coerced = variables
        return VariableValues(
            {name: sources[name] for name in self._conditions if name in sources},
            {name: coerced[name] for name in self._conditions if name in coerced},
        )

    def _executor(
        self,
        kind: type[Executor[Any]],
        variables: VariableValues,
        context_value: Any = None,
        root_value: Any = None,
    ) -> Executor[Any]:
        fragments = [each for each in self._document.definitions if isinstance(each, FragmentDefinitionNode)]
        return kind(
            self._schema,
            {each.name.value: each for each in fragments},
            {each.name.value: FragmentDetails(each) for each in fragments},
            root_value,
            context_value,
            self._operation,
            variables,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=is_awaitable,
            hide_suggestions=self._hides_suggestions,
        )
