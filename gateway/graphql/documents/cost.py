"""The cost of an operation: the maximum number of objects that it can return, before it is executed.

Must not be here: the limit (`options`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    FieldNode,
    IntValueNode,
    ListTypeNode,
    ListValueNode,
    NamedTypeNode,
    NonNullTypeNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)

from gateway.domain.page import DEFAULT_LIMIT, MAX_LIMIT
from gateway.graphql.documents.measure import fragments_of, merge, response_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graphql import (
        DocumentNode,
        GraphQLCompositeType,
        GraphQLField,
        GraphQLSchema,
        OperationDefinitionNode,
        SelectionSetNode,
        TypeNode,
        ValueNode,
    )

    from gateway.graphql.documents.measure import Fragments

_KEPT: Final = 20  # combinations of page sizes per operation
# Numbers that take a scan of rows cost as much as the largest page.
_COUNTED: Final[Mapping[tuple[str, str], int]] = {("ThreadConnection", "totalCount"): MAX_LIMIT}
# Lists of introspection have no arguments; these are typical lengths in this schema.
_SCHEMA_LISTS: Final[Mapping[str, int]] = {"types": 50, "fields": 6, "directives": 6, "args": 1}


@dataclass(frozen=True, slots=True)
class CostInput:
    """The schema, fragments and variables that the cost of an operation depends on."""

    schema: GraphQLSchema
    fragments: Fragments
    variables: Mapping[str, Any]


class Costs:
    """The costs of one operation, cached by the page sizes in its variables, and in literals that became variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        literals: Iterable[str],
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._fragments = fragments_of(document)
        declared = [each.variable.name.value for each in operation.variable_definitions or () if _may_size(each.type)]
        self._sizing = [*declared, *literals]
        self._known: dict[tuple[int | None, ...], int] = {}

    def of(self, variables: Mapping[str, Any]) -> int:
        """Return the cost of the operation with these coerced variables."""
        sizes = tuple([_size(variables.get(name)) for name in self._sizing])
        known = self._known.get(sizes)
        if known is None:
            if len(self._known) == _KEPT:
                self._known.clear()  # no ordinary application uses so many sizes
            known = self._known[sizes] = cost_of(self._operation, CostInput(self._schema, self._fragments, variables))
        return known


def _may_size(declared: TypeNode) -> bool:
    """Report whether a variable can be a page size or a list of IDs."""
    inner = declared.type if isinstance(declared, NonNullTypeNode) else declared
    return isinstance(inner, ListTypeNode) or (isinstance(inner, NamedTypeNode) and inner.name.value == "Int")


def _size(value: object) -> int | None:
    return value if isinstance(value, int) else len(value) if isinstance(value, list) else None


def cost_of(operation: OperationDefinitionNode, asked: CostInput) -> int:
    """Compute the maximum number of objects that an operation returns.

    A field that returns an object costs 1, and the selection of a connection is multiplied by the page size. A list
    without a page size, such as the parts of a message, costs 1. Merged fields count once; `@skip` and `@include` are
    ignored. `ThreadConnection.totalCount` costs as much as the largest page.
    """
    root = asked.schema.get_root_type(operation.operation)
    return 0 if root is None else _objects(root, [operation.selection_set], None, asked)


def _objects(
    parent: GraphQLCompositeType, selection_sets: Iterable[SelectionSetNode], page: int | None, asked: CostInput
) -> int:
    """Compute the cost of an object's selection; `page` is the page size if the object is a connection."""
    total = 0
    for holder, same in _grouped(parent, selection_sets, asked):
        definition = asked.schema.get_field(holder, same[0].name.value)
        kind = get_named_type(definition.type) if definition else None
        if definition is None or kind is None or not is_composite_type(kind):
            total += _COUNTED.get((holder.name, same[0].name.value), 0)
            continue
        own = 0 if same[0].name.value == "ofType" else 1  # introspection queries nest nine of them, nearly always null
        inner = _objects(
            kind, [each.selection_set for each in same if each.selection_set], _page(definition, same[0], asked), asked
        )
        total += _times(definition, same[0], page, asked) * (own + inner)
    return total


def _grouped(
    parent: GraphQLCompositeType, selection_sets: Iterable[SelectionSetNode], asked: CostInput
) -> list[tuple[GraphQLCompositeType, list[FieldNode]]]:
    """Group the fields that merge into one, each group with the type that has the field."""
    groups: dict[tuple[str, str], list[FieldNode]] = {}
    for on_type, field in merge(selection_sets, asked.fragments)[0]:
        groups.setdefault((on_type or parent.name, response_key(field)), []).append(field)
    types: Mapping[str, Any] = asked.schema.type_map
    return [(types[name], same) for (name, _), same in groups.items()]


def _page(definition: GraphQLField, field: FieldNode, asked: CostInput) -> int | None:
    """Return the page size of a connection; None for other fields."""
    if "first" not in definition.args:
        return None
    given = _arguments(field)
    sizes = [_integer(given[name], asked) for name in ("limit", "first", "last") if name in given]
    # A size outside of the range is refused before the page is read.
    return max((min(size, MAX_LIMIT) for size in sizes if size is not None), default=DEFAULT_LIMIT)


def _times(definition: GraphQLField, field: FieldNode, page: int | None, asked: CostInput) -> int:
    """Return how many objects a field returns for one parent."""
    if not is_list_type(get_nullable_type(definition.type)):
        return 1
    if page is not None:
        return max(page, 0)
    if "ids" in definition.args:
        return _length(_arguments(field)["ids"], asked)
    return _SCHEMA_LISTS.get(field.name.value, 1) if _is_of_schema(definition) else 1


def _is_of_schema(definition: GraphQLField) -> bool:
    return get_named_type(definition.type).name.startswith("__")


def _arguments(field: FieldNode) -> dict[str, ValueNode]:
    return {argument.name.value: argument.value for argument in field.arguments or ()}


def _integer(value: ValueNode, asked: CostInput) -> int | None:
    if isinstance(value, VariableNode):
        found = asked.variables.get(value.name.value)
        return found if isinstance(found, int) else None
    return int(value.value) if isinstance(value, IntValueNode) else None


def _length(value: ValueNode, asked: CostInput) -> int:
    if isinstance(value, VariableNode):
        found = asked.variables.get(value.name.value)
        return len(found) if isinstance(found, list) else 1
    return len(value.values) if isinstance(value, ListValueNode) else 1
