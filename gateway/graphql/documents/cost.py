"""What an operation may cost: the objects that it can return at most, known before it runs.

Must not be here: the limit on it (`options`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
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
from gateway.graphql.documents.measure import merge, response_key

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

# Lists of introspection have no arguments, but their usual lengths in this schema are known.
_KEPT: Final = 20  # combinations of sizes for one operation
# What is counted row by row when it is asked for, as much as a page of the largest size.
_COUNTED: Final[Mapping[tuple[str, str], int]] = {("ThreadConnection", "totalCount"): MAX_LIMIT}
_SCHEMA_LISTS: Final[Mapping[str, int]] = {"types": 50, "fields": 6, "directives": 6, "args": 1}


@dataclass(frozen=True, slots=True)
class Asked:
    """One operation and what is needed to read it."""

    schema: GraphQLSchema
    fragments: Fragments
    variables: Mapping[str, Any]


class Costs:
    """What one operation costs, counted once for the sizes that its variables ask for."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._operation = operation
        found = [each for each in document.definitions if isinstance(each, FragmentDefinitionNode)]
        self._fragments = {each.name.value: each for each in found}
        self._sizing = [
            each.variable.name.value for each in operation.variable_definitions or () if _may_size(each.type)
        ]
        self._known: dict[tuple[int | None, ...], int] = {}

    def of(self, variables: Mapping[str, Any]) -> int:
        """Count the objects that the operation returns at most with these coerced variables."""
        sizes = tuple([_size(variables.get(name)) for name in self._sizing])
        known = self._known.get(sizes)
        if known is None:
            if len(self._known) == _KEPT:
                self._known.clear()  # sizes as nobody's application asks for them
            known = self._known[sizes] = cost_of(self._operation, Asked(self._schema, self._fragments, variables))
        return known


def _may_size(declared: TypeNode) -> bool:
    """Say whether a variable can be the size of a page or a list of ids."""
    inner = declared.type if isinstance(declared, NonNullTypeNode) else declared
    return isinstance(inner, ListTypeNode) or (isinstance(inner, NamedTypeNode) and inner.name.value == "Int")


def _size(value: object) -> int | None:
    return value if isinstance(value, int) else len(value) if isinstance(value, list) else None


def cost_of(operation: OperationDefinitionNode, asked: Asked) -> int:
    """Count the objects that an operation returns at most.

    A field that gives an object counts one, and what is below a connection counts once for each item of the page
    that is asked for. A list without a size of its own, such as the parts of a message, counts one. Fields that
    merge count once; what `@skip` and `@include` leave out counts all the same. A number that has to be counted has a
    price of its own.
    """
    root = asked.schema.get_root_type(operation.operation)
    return 0 if root is None else _objects(root, [operation.selection_set], None, asked)


def _objects(
    parent: GraphQLCompositeType, selection_sets: Iterable[SelectionSetNode], page: int | None, asked: Asked
) -> int:
    """Count below one object; `page` is the size of the page where the object is a connection."""
    total = 0
    for holder, same in _grouped(parent, selection_sets, asked):
        definition = asked.schema.get_field(holder, same[0].name.value)
        kind = get_named_type(definition.type) if definition else None
        if definition is None or kind is None or not is_composite_type(kind):
            total += _COUNTED.get((holder.name, same[0].name.value), 0)
            continue
        own = 0 if same[0].name.value == "ofType" else 1  # introspection asks for nine in a row, nearly all null
        inner = _objects(
            kind, [each.selection_set for each in same if each.selection_set], _page(definition, same[0], asked), asked
        )
        total += _times(definition, same[0], page, asked) * (own + inner)
    return total


def _grouped(
    parent: GraphQLCompositeType, selection_sets: Iterable[SelectionSetNode], asked: Asked
) -> list[tuple[GraphQLCompositeType, list[FieldNode]]]:
    """Put the fields together that merge into one, each group with the type that has the field."""
    groups: dict[tuple[str, str], list[FieldNode]] = {}
    for on_type, field in merge(selection_sets, asked.fragments)[0]:
        groups.setdefault((on_type or parent.name, response_key(field)), []).append(field)
    types: Mapping[str, Any] = asked.schema.type_map
    return [(types[name], same) for (name, _), same in groups.items()]


def _page(definition: GraphQLField, field: FieldNode, asked: Asked) -> int | None:
    """Find the size of the page that a connection is asked for; None where the field gives no connection."""
    if "first" not in definition.args:
        return None
    given = _arguments(field)
    sizes = [_integer(given[name], asked) for name in ("limit", "first", "last") if name in given]
    # A size beyond 1 to 100 is refused by whoever reads the page, before anything is read.
    return max((min(size, MAX_LIMIT) for size in sizes if size is not None), default=DEFAULT_LIMIT)


def _times(definition: GraphQLField, field: FieldNode, page: int | None, asked: Asked) -> int:
    """Say how many objects a field gives for one parent."""
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


def _integer(value: ValueNode, asked: Asked) -> int | None:
    if isinstance(value, VariableNode):
        found = asked.variables.get(value.name.value)
        return found if isinstance(found, int) else None
    return int(value.value) if isinstance(value, IntValueNode) else None


def _length(value: ValueNode, asked: Asked) -> int:
    if isinstance(value, VariableNode):
        found = asked.variables.get(value.name.value)
        return len(found) if isinstance(found, list) else 1
    return len(value.values) if isinstance(value, ListValueNode) else 1
