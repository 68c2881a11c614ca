"""The arguments of a field: literals are coerced once, variables are inserted in each execution.

Must not be here: errors of arguments, which graphql-core reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    ListValueNode,
    ObjectValueNode,
    VariableNode,
    is_non_null_type,
)
from graphql.execution.values import VariableValues, get_argument_values

from gateway.fast_executor.readers import Bailout

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import ValueNode

    Arguments = Callable[[VariableValues], dict[str, Any]]

_NO_VARIABLES = VariableValues({}, {})


def arguments_of(definition: GraphQLField, node: FieldNode) -> Arguments | None:
    """Make the function that returns a field's arguments; None if only graphql-core can coerce them.

    The function raises Bailout for variables that an argument does not accept.
    """
    given = {each.name.value: each.value for each in node.arguments or ()}
    inserted: list[tuple[str, str, bool, dict[str, Any]]] = []
    literals = {}
    for name, argument in definition.args.items():
        value = given.get(name)
        if not isinstance(value, VariableNode):
            if value is not None and _has_variables(value):
                return None
            literals[name] = argument
            continue
        default = _coerced(GraphQLField(definition.type, {name: argument}), _without_arguments(node))
        # A required argument without a default cannot be omitted.
        inserted.append((value.name.value, argument.out_name or name, is_non_null_type(argument.type), default or {}))
    base = _coerced(GraphQLField(definition.type, literals), node)
    return None if base is None else _merging(base, inserted)


def _merging(base: dict[str, Any], inserted: list[tuple[str, str, bool, dict[str, Any]]]) -> Arguments:
    def merge(variables: VariableValues) -> dict[str, Any]:
        found = base.copy()
        coerced = variables.coerced
        for variable, out_name, is_required, default in inserted:
            if variable in coerced:
                value = found[out_name] = coerced[variable]
                if value is None and is_required:
                    raise Bailout
            elif default:
                found.update(default)
            elif is_required:
                raise Bailout
        return found

    return merge


def _coerced(definition: GraphQLField, node: FieldNode) -> dict[str, Any] | None:
    try:
        return get_argument_values(definition, node, _NO_VARIABLES)
    except GraphQLError:
        return None


def _without_arguments(node: FieldNode) -> FieldNode:
    return FieldNode(name=node.name, loc=node.loc)


def _has_variables(value: ValueNode) -> bool:
    if isinstance(value, ListValueNode):
        return any(map(_has_variables, value.values))
    if isinstance(value, ObjectValueNode):
        return any(_has_variables(each.value) for each in value.fields)
    return isinstance(value, VariableNode)
