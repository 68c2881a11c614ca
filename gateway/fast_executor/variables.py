"""The variables of an operation: obviously valid values are coerced here, all others by graphql-core.

Must not be here: errors of variables, which graphql-core finds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLString,
    Undefined,
    get_variable_values,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource

from gateway.fast_executor.readers import Bailout, new_tuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import GraphQLEnumType, GraphQLSchema, OperationDefinitionNode
    from graphql.execution.get_variable_signature import GraphQLVariableSignature

Coerce = Callable[[Any], Any]  # returns the coerced value; raises on any that is not plainly valid

_UNCHANGED: Final[Mapping[Any, type]] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}
LONG_NAME: Final = 10_000  # characters; suggestions for so many take a millisecond
_MAX_INT, _MIN_INT = 2**31 - 1, -(2**31)  # GraphQL, "Int"


class Coercion:
    """Coerces the variables of one operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, *, hide_suggestions: bool) -> None:
        self._schema, self._hides_suggestions = schema, hide_suggestions
        self._definitions = operation.variable_definitions or ()
        self._variables: list[tuple[str, GraphQLVariableSignature, Coerce, VariableValueSource | None]] = []
        for each in self._definitions:
            signature = get_variable_signature(schema, each)
            if isinstance(signature, GraphQLError):
                break
            is_optional = each.default_value is None and not is_non_null_type(signature.type)
            omitted = VariableValueSource(signature) if is_optional else None
            self._variables.append((signature.name, signature, coercer(signature.type), omitted))
        self._is_plain = len(self._variables) == len(self._definitions)

    def coerce(self, raw: dict[str, Any], *, max_errors: int = 50) -> VariableValues | list[GraphQLError]:
        """Coerce the variables of a request, or return their errors."""
        found = self._plain(raw) if self._is_plain else None
        if found is not None:
            return found
        hide = self._hides_suggestions or has_long_name(raw)
        return get_variable_values(self._schema, self._definitions, raw, max_errors=max_errors, hide_suggestions=hide)

    def _plain(self, raw: dict[str, Any]) -> VariableValues | None:
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        try:
            for name, signature, coerce, omitted in self._variables:
                if name in raw:
                    value = raw[name]
                    coerced[name] = coerce(value)
                    sources[name] = new_tuple(VariableValueSource, (signature, value))
                elif omitted is None:
                    return None
                else:
                    sources[name] = omitted
        except Exception:  # noqa: BLE001  (a custom scalar may raise anything; graphql-core reports it)
            return None
        return new_tuple(VariableValues, (sources, coerced))


def has_long_name(raw: dict[str, Any]) -> bool:
    """Report whether a key or string is so long that graphql-core would take long to find similar names."""
    pending: list[Any] = [raw]
    while pending:
        value = pending.pop()
        if type(value) is str:
            if len(value) > LONG_NAME:
                return True
        elif type(value) is list:
            pending.extend(value)
        elif type(value) is dict:
            pending.extend(value)
            pending.extend(value.values())
    return False


def coercer(kind: Any) -> Coerce:
    """Make the function that coerces a value of an input type."""
    if is_non_null_type(kind):
        return _non_null(kind.of_type)
    coerce = _non_null(kind)
    return lambda value: None if value is None else coerce(value)


def _non_null(kind: Any) -> Coerce:
    """Make the same for values that are not null; it raises on null too."""
    if is_list_type(kind):
        return _list(coercer(kind.of_type))
    if is_input_object_type(kind):
        return _object(kind)
    if is_enum_type(kind):
        return _enum(kind).__getitem__
    if kind is GraphQLInt:
        return _int
    own = _UNCHANGED.get(kind)
    return _leaf(kind) if own is None else _exactly(own)


def _bail_out() -> Any:
    raise Bailout


def _exactly(own: type) -> Coerce:
    return lambda value: value if type(value) is own else _bail_out()


def _int(value: Any) -> Any:
    return value if type(value) is int and _MIN_INT <= value <= _MAX_INT else _bail_out()


def _leaf(kind: Any) -> Coerce:
    def coerce(value: Any) -> Any:
        coerced = Undefined if value is None else kind.coerce_input_value(value)
        return _bail_out() if coerced is Undefined else coerced

    return coerce


def _list(coerce: Coerce) -> Coerce:
    return lambda value: [coerce(each) for each in value] if type(value) is list else _bail_out()


def _object(kind: GraphQLInputObjectType) -> Coerce:
    """Coerce a JSON object whose omitted fields have no defaults; its fields are looked up at the first value."""
    fields: list[tuple[str, str, Coerce, bool]] = []  # looked up later, since an input type may contain itself

    def coerce(value: Any) -> Any:
        if type(value) is not dict:
            raise Bailout
        if not fields:
            fields.extend(
                (name, field.out_name or name, coercer(field.type), _is_optional(field))
                for name, field in kind.fields.items()
            )
        coerced = {}
        for name, out_name, coerce_field, is_optional in fields:
            if name in value:
                coerced[out_name] = coerce_field(value[name])
            elif not is_optional:
                raise Bailout
        if len(coerced) != len(value) or (kind.is_one_of and (len(coerced) != 1 or None in coerced.values())):
            raise Bailout
        return kind.out_type(coerced)

    return coerce


def _is_optional(field: Any) -> bool:
    return not is_non_null_type(field.type) and field.default_value is Undefined and field.default is None


def _enum(kind: GraphQLEnumType) -> dict[str, Any]:
    return {name: kind.coerce_input_value(name) for name in kind.values}
