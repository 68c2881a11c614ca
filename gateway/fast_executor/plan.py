"""A plan: all that can be known of an operation before it is executed, kept for as long as the plan is.

Must not be here: how values are read (`readers`, `codegen`), what one execution does (`executor`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from graphql import (
    Executor,
    FragmentDefinitionNode,
    OperationType,
    assert_valid_schema,
    default_field_resolver,
    default_type_resolver,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields
from graphql.execution.values import VariableValues

from gateway.fast_executor.codegen import Readers
from gateway.fast_executor.executor import CompiledExecutor, step_of
from gateway.fast_executor.meter import Meter
from gateway.fast_executor.metered_executor import MeteredExecutor
from gateway.fast_executor.readers import is_awaitable
from gateway.fast_executor.unsupported import Reason, Unsupported, conditions_of
from gateway.fast_executor.variables import Coercion

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from graphql import (
        DocumentNode,
        ExecutionResult,
        GraphQLError,
        GraphQLObjectType,
        GraphQLSchema,
        OperationDefinitionNode,
    )
    from graphql.execution.collect_fields import FieldDetails

    from gateway.fast_executor.executor import Step
    from gateway.fast_executor.hints import Places, Ways
    from gateway.fast_executor.readers import Read

    FieldDetailsList = list[FieldDetails]
    Entry = tuple[str, FieldDetailsList, Step | None]


class Plan:
    """One operation; `coerce` its variables, then `execute` it."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        ways: Ways,
        *,
        hide_suggestions: bool,
    ) -> None:
        self._conditions = conditions_of(document, operation)
        self._schema, self._document, self._operation, self._ways = schema, document, operation, ways
        self._hides_suggestions = hide_suggestions
        self._coercion = Coercion(schema, operation)
        self._shapes: dict[tuple[Any, ...], Shape] = {}  # by what the conditions say, each true or false

    def coerce(self, raw: dict[str, Any], *, max_errors: int = 50) -> VariableValues | list[GraphQLError]:
        """Coerce the variables that a request brings, or say what is wrong with them."""
        return self._coercion.of(raw, max_errors, hide_suggestions=self._hides_suggestions)

    def execute(
        self, variables: VariableValues, context_value: Any = None, root_value: Any = None, meter: Meter | None = None
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Execute the operation; the result is graphql-core's, but that stored JSON in it is still text.

        A subscription is executed for one event, the root value (GraphQL, 6.2.3.2, "ExecuteSubscriptionEvent").
        """
        said = tuple([variables.coerced.get(name) for name in self._conditions])
        shape = self._shapes.get(said)
        if shape is None:
            if not all(isinstance(each, bool) for each in said):
                # That is an error of whatever field it is found below, and of no other.
                normal: Any = self._executor(MeteredExecutor, variables, context_value, root_value)
                normal.meter = meter or Meter()
                return cast("ExecutionResult | Awaitable[ExecutionResult]", normal.execute_operation())
            shape = Shape(cast("CompiledExecutor", self._executor(CompiledExecutor, self._of(variables))), self._ways)
            self._shapes[said] = shape
        result: ExecutionResult | Awaitable[ExecutionResult]
        result = shape.prototype.begun(root_value, context_value, variables, meter or Meter()).execute_operation()
        return result

    def _of(self, variables: VariableValues) -> VariableValues:
        """Keep of variables those alone that a shape depends on: the others may be megabytes of one request."""
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


class Shape:
    """What an operation asks for, once it is known what is left out of it."""

    def __init__(self, prototype: CompiledExecutor, ways: Ways) -> None:
        self.ways = ways
        self.prototype = prototype
        prototype.shape = self
        root_type = prototype.schema.get_root_type(prototype.operation.operation)
        self.root_type = cast("GraphQLObjectType", root_type)  # `compile_operation` has looked
        self.is_serial = prototype.operation.operation is OperationType.MUTATION
        self._root_fields: dict[str, FieldDetailsList] | None = None
        self._readers = Readers(prototype.schema, ways, self.collect)
        # By the identity of a list of details, which graphql-core's memory and `_root_fields` keep alive.
        self._known: dict[tuple[int, int], tuple[Read, Places | None] | None] = {}
        self._steps: dict[int, Step | None] = {}
        self._entries: dict[int, list[Entry]] = {}  # by that of what was collected, kept alive in the same way

    def root_fields(self) -> dict[str, FieldDetailsList]:
        """Collect the fields of the operation, once.

        Errors: GraphQLError, where the variables leave it open what is left out.
        """
        if self._root_fields is None:
            made = self.prototype
            self._root_fields = collect_fields(
                made.schema, made.fragments, made.variable_values, self.root_type, made.operation
            ).grouped_field_set
        return self._root_fields

    def collect(self, kind: GraphQLObjectType, details: FieldDetailsList) -> dict[str, FieldDetailsList]:
        """Collect what is selected of an object, the same lists each time."""
        return self.prototype.collect_subfields(kind, details).grouped_field_set

    def reader(self, kind: Any, details: FieldDetailsList) -> Read | None:
        """Find what reads a value of a type with what is selected of it, if it needs no resolver."""
        found = self._reader(kind, details)
        return None if found is None else found[0]

    def places(self, kind: Any, details: FieldDetailsList) -> Places | None:
        """Find which places of tuples that one reads, where it is known."""
        found = self._reader(kind, details)
        return None if found is None else found[1]

    def _reader(self, kind: Any, details: FieldDetailsList) -> tuple[Read, Places | None] | None:
        place = (id(kind), id(details))
        if place not in self._known:
            self._known[place] = self._readers.of(kind, details)
        return self._known[place]

    def entries(self, parent_type: GraphQLObjectType, fields: dict[str, FieldDetailsList]) -> list[Entry]:
        """Lay out what is done for each of the fields that are selected of an object."""
        place = id(fields)
        if place not in self._entries:
            found = [(key, details, self.step(parent_type, details)) for key, details in fields.items()]
            self._entries[place] = found
        return self._entries[place]

    def step(self, parent_type: GraphQLObjectType, details: FieldDetailsList) -> Step | None:
        """Find how a field is resolved without its framework, if it has such a way."""
        place = id(details)
        if place not in self._steps:
            self._steps[place] = step_of(self, parent_type, details)
        return self._steps[place]


def compile_operation(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    ways: Ways,
    *,
    hide_suggestions: bool = False,
) -> Plan:
    """Make the plan of an operation of a valid document.

    Errors: Unsupported.
    """
    assert_valid_schema(schema)
    if schema.get_root_type(operation.operation) is None:
        raise Unsupported(Reason.NO_ROOT)
    return Plan(schema, document, operation, ways, hide_suggestions=hide_suggestions)
