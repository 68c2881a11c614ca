"""The variables of an operation: what is plainly right is taken as it is, all else is graphql-core's to coerce.

Must not be here: what is wrong with variables, which graphql-core says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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

from gateway.fast_executor.readers import Surprise, new_tuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import GraphQLEnumType, GraphQLSchema, OperationDefinitionNode
    from graphql.execution.get_variable_signature import GraphQLVariableSignature

Take = Callable[[Any], Any]  # gives the coerced value; raises on what is not plainly right

_SAME: Final[Mapping[Any, type]] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}
_ASKED: Final = (*_SAME, GraphQLInt)
LONG_WORD: Final = 10_000  # characters; suggestions take a millisecond for so many
_MAX_INT, _MIN_INT = 2**31 - 1, -(2**31)  # GraphQL, "Int"


class _Variable(NamedTuple):
    name: str
    signature: GraphQLVariableSignature
    take: Take
    may_be_left_out: bool


class Coercion:
    """Coerces the variables of one operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._definitions = operation.variable_definitions or ()
        signatures = [(each, get_variable_signature(schema, each)) for each in self._definitions]
        self._variables = [
            _Variable(
                signature.name,
                signature,
                taker(signature.type),
                each.default_value is None and not is_non_null_type(signature.type),
            )
            for each, signature in signatures
            if not isinstance(signature, GraphQLError)
        ]
        self._is_plain = len(self._variables) == len(signatures)

    def of(
        self, raw: dict[str, Any], max_errors: int, *, hide_suggestions: bool
    ) -> VariableValues | list[GraphQLError]:
        """Coerce what a request brings."""
        found = self._plain(raw) if self._is_plain else None
        if found is not None:
            return found
        return get_variable_values(
            self._schema,
            self._definitions,
            raw,
            max_errors=max_errors,
            hide_suggestions=hide_suggestions or has_long_word(raw),
        )

    def _plain(self, raw: dict[str, Any]) -> VariableValues | None:
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        try:
            for name, signature, take, may_be_left_out in self._variables:
                if name in raw:
                    value = raw[name]
                    coerced[name] = take(value)
                    sources[name] = new_tuple(VariableValueSource, (signature, value))
                elif may_be_left_out:
                    sources[name] = VariableValueSource(signature)
                else:
                    return None
        except Exception:  # noqa: BLE001  (a scalar of the schema's own may raise anything; graphql-core says what)
            return None
        return new_tuple(VariableValues, (sources, coerced))


def has_long_word(raw: dict[str, Any]) -> bool:
    """Say whether a key or text is so long that graphql-core would take long to look for names that are near it."""
    waiting: list[Any] = [raw]
    while waiting:
        value = waiting.pop()
        if type(value) is str:
            if len(value) > LONG_WORD:
                return True
        elif type(value) is list:
            waiting.extend(value)
        elif type(value) is dict:
            waiting.extend(value)
            waiting.extend(value.values())
    return False


def taker(kind: Any) -> Take:
    """Make what takes a value of an input type."""
    if is_non_null_type(kind):
        some = _some(kind.of_type)
        # Those that ask for a class say so of a null, too.
        return some if kind.of_type in _ASKED else lambda value: _surprised() if value is None else some(value)
    own = _SAME.get(kind)
    if own is not None:
        return lambda value: value if value is None or type(value) is own else _surprised()
    some = _some(kind)
    return lambda value: None if value is None else some(value)


def _some(kind: Any) -> Take:
    if is_list_type(kind):
        return _list(taker(kind.of_type))
    if is_input_object_type(kind):
        return _object(kind)
    if is_enum_type(kind):
        return _words(kind).__getitem__
    if kind is GraphQLInt:
        return _int
    own = _SAME.get(kind)
    return _leaf(kind) if own is None else _exactly(own)


def _surprised() -> Any:
    raise Surprise


def _exactly(own: type) -> Take:
    return lambda value: value if type(value) is own else _surprised()


def _int(value: Any) -> Any:
    return value if type(value) is int and _MIN_INT <= value <= _MAX_INT else _surprised()


def _leaf(kind: Any) -> Take:
    def take(value: Any) -> Any:
        taken = kind.coerce_input_value(value)
        return _surprised() if taken is Undefined else taken

    return take


def _list(take: Take) -> Take:
    return lambda value: [take(each) for each in value] if type(value) is list else _surprised()


def _object(kind: GraphQLInputObjectType) -> Take:
    """Take a JSON object, where nothing that it leaves out has a default; its fields are found when one comes."""
    known: list[tuple[str, str, Take, bool]] = []  # an input type may hold itself

    def take(value: Any) -> Any:
        if type(value) is not dict:
            raise Surprise
        if not known:
            known.extend(
                (name, field.out_name or name, taker(field.type), _may_be_left_out(field))
                for name, field in kind.fields.items()
            )
        taken = {}
        for name, out_name, take_field, may_be_left_out in known:
            if name in value:
                taken[out_name] = take_field(value[name])
            elif not may_be_left_out:
                raise Surprise
        if len(taken) != len(value) or (kind.is_one_of and (len(taken) != 1 or None in taken.values())):
            raise Surprise
        return kind.out_type(taken)

    return take


def _may_be_left_out(field: Any) -> bool:
    return not is_non_null_type(field.type) and field.default_value is Undefined and field.default is None


def _words(kind: GraphQLEnumType) -> dict[str, Any]:
    return {name: kind.coerce_input_value(name) for name in kind.values}
