"""Mutations that select data which their caller must not read are refused before anything is written.

The resolver of such a field would refuse too, but only after the write, whose result would be lost.
Must not be here: scopes of callers (`domain.principal`).
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from graphql import (
    BooleanValueNode,
    ExecutionResult,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from gateway.domain.principal import READ
from gateway.errors import Forbidden
from gateway.graphql.documents.measure import fragments_of, response_key
from gateway.graphql.schema.build import DEFINITION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import DirectiveNode, DocumentNode, GraphQLField, GraphQLSchema, OperationDefinitionNode, SelectionNode

    from gateway.domain.principal import Principal


def refuse_reading_back(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    who: Principal,
) -> ExecutionResult | None:
    """Refuse a mutation that selects data its caller must not read, with the error of the field at fault."""
    if READ in who.scopes:
        return None
    root = _SelectionVisitor(schema, document, variables).first_to_read(operation)
    if root is None:
        return None
    try:
        who.require(READ)
    except Forbidden as error:
        refused = GraphQLError(error.message, [root], path=[response_key(root)], original_error=error)
    return ExecutionResult(data=None, errors=[refused])


class _SelectionVisitor:
    """Visits the selections of an operation, each fragment once."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = fragments_of(document)
        self._entered: set[str] = set()

    def first_to_read(self, operation: OperationDefinitionNode) -> FieldNode | None:
        """Find the first root field whose selection reads from the store."""
        root_type = self._schema.get_root_type(operation.operation)
        for parent, field in self._fields(root_type, operation.selection_set.selections):
            if self._reads_below(parent, field):
                return field
        return None

    def _reads_below(self, parent: Any, field: FieldNode) -> bool:
        definition = self._schema.get_field(parent, field.name.value)
        kind = get_named_type(definition.type) if definition else None
        if not is_composite_type(kind) or field.selection_set is None:
            return False
        for owner, each in self._fields(kind, field.selection_set.selections):
            found = self._schema.get_field(owner, each.name.value)
            if (found is not None and _reads(found)) or self._reads_below(owner, each):
                return True
        return False

    def _fields(self, parent: Any, selections: tuple[SelectionNode, ...]) -> list[tuple[Any, FieldNode]]:
        """Collect the included fields with their parent types.

        A fragment is visited once: if it had contained a read, the visit would have ended.
        """
        fields: list[tuple[Any, FieldNode]] = []
        for each in selections:
            if not self._is_included(each.directives or ()):
                continue
            if isinstance(each, FieldNode):
                fields.append((parent, each))
            elif isinstance(each, InlineFragmentNode):
                condition = each.type_condition
                kind = self._schema.get_type(condition.name.value) if condition else parent
                fields += self._fields(kind, each.selection_set.selections)
            elif isinstance(each, FragmentSpreadNode) and each.name.value not in self._entered:
                self._entered.add(each.name.value)
                fragment = self._fragments[each.name.value]
                kind = self._schema.get_type(fragment.type_condition.name.value)
                fields += self._fields(kind, fragment.selection_set.selections)
        return fields

    def _is_included(self, directives: tuple[DirectiveNode, ...]) -> bool:
        """Source: GraphQL, "@skip" and "@include"."""
        for each in directives:
            if each.name.value in ("skip", "include"):
                value = (each.arguments or ())[0].value  # the only argument, which validation requires
                given = self._variables.get(value.name.value) if isinstance(value, VariableNode) else _literal(value)
                if given is (each.name.value == "skip"):
                    return False
        return True


def _literal(value: object) -> bool:
    return isinstance(value, BooleanValueNode) and value.value


def _reads(field: GraphQLField) -> bool:
    """Report whether a field reads from the store; only such resolvers are coroutines."""
    resolver = getattr(field.extensions.get(DEFINITION), "base_resolver", None)
    return resolver is not None and iscoroutinefunction(resolver.wrapped_func)
