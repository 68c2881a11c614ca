"""The arguments of a field: those that stand in the document are coerced once, variables are taken as they come.

Must not be here: what is wrong with arguments, which graphql-core says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import FieldNode, GraphQLError, GraphQLField, VariableNode, is_non_null_type
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import Visitor, visit

from gateway.fast_executor.readers import Surprise

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import ValueNode

    Arguments = Callable[[VariableValues], dict[str, Any]]

_NONE_GIVEN = VariableValues({}, {})


def arguments_of(definition: GraphQLField, node: FieldNode) -> Arguments | None:
    """Make what gives a field's arguments, or None where only graphql-core can.

    What is made raises Surprise for variables which an argument does not take.
    """
    given = {each.name.value: each.value for each in node.arguments or ()}
    taken: list[tuple[str, str, bool, dict[str, Any]]] = []
    fixed = {}
    for name, argument in definition.args.items():
        value = given.get(name)
        if not isinstance(value, VariableNode):
            if value is not None and _has_variables(value):
                return None
            fixed[name] = argument
            continue
        default = _coerced(GraphQLField(definition.type, {name: argument}), _without_arguments(node))
        # A required argument without a default has nothing to be left out for.
        taken.append((value.name.value, argument.out_name or name, is_non_null_type(argument.type), default or {}))
    base = _coerced(GraphQLField(definition.type, fixed), node)
    return None if base is None else _taking(base, taken)


def _taking(base: dict[str, Any], taken: list[tuple[str, str, bool, dict[str, Any]]]) -> Arguments:
    def take(variables: VariableValues) -> dict[str, Any]:
        found = base.copy()
        coerced = variables.coerced
        for variable, out_name, is_required, default in taken:
            if variable in coerced:
                value = found[out_name] = coerced[variable]
                if value is None and is_required:
                    raise Surprise
            elif default:
                found.update(default)
            elif is_required:
                raise Surprise
        return found

    return take


def _coerced(definition: GraphQLField, node: FieldNode) -> dict[str, Any] | None:
    try:
        return get_argument_values(definition, node, _NONE_GIVEN)
    except GraphQLError:
        return None


def _without_arguments(node: FieldNode) -> FieldNode:
    return FieldNode(name=node.name, loc=node.loc)


class _Variables(Visitor):
    found = False

    def enter_variable(self, *_args: Any) -> None:
        self.found = True


def _has_variables(value: ValueNode) -> bool:
    visitor = _Variables()
    visit(value, visitor)
    return visitor.found
