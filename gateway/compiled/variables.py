"""The variables of an operation: plain ones are taken as they are, all others are graphql-core's to coerce.

Must not be here: what is wrong with variables, which graphql-core says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLID,
    GraphQLString,
    get_variable_values,
    is_enum_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import GraphQLSchema, OperationDefinitionNode
    from graphql.execution.get_variable_signature import GraphQLVariableSignature

_SAME: Final[Mapping[Any, type]] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}
_MAX_INT, _MIN_INT = 2**31 - 1, -(2**31)  # GraphQL, "Int"


class _Variable(NamedTuple):
    name: str
    signature: GraphQLVariableSignature
    own: type | None  # the class whose values are taken as they are
    is_int: bool
    words: Mapping[Any, Any]  # an enum's values by their names
    may_be_null: bool
    has_default: bool


class Coercion:
    """Coerces the variables of one operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._definitions = operation.variable_definitions or ()
        signatures = [(each, get_variable_signature(schema, each)) for each in self._definitions]
        self._variables = [
            _variable(signature, has_default=each.default_value is not None)
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
            self._schema, self._definitions, raw, max_errors=max_errors, hide_suggestions=hide_suggestions
        )

    def _plain(self, raw: dict[str, Any]) -> VariableValues | None:
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for name, signature, own, is_int, words, may_be_null, has_default in self._variables:
            if name not in raw:
                if has_default or not may_be_null:
                    return None
                sources[name] = VariableValueSource(signature)
                continue
            value = raw[name]
            kind = type(value)
            if value is None:
                if not may_be_null:
                    return None
            elif words:
                if kind is not str or value not in words:
                    return None
                value = words[value]
            elif kind is not own or (is_int and not _MIN_INT <= value <= _MAX_INT):
                return None
            sources[name] = VariableValueSource(signature, raw[name])
            coerced[name] = value
        return VariableValues(sources, coerced)


def _variable(signature: GraphQLVariableSignature, *, has_default: bool) -> _Variable:
    may_be_null = not is_non_null_type(signature.type)
    kind: Any = signature.type if may_be_null else signature.type.of_type  # type: ignore[union-attr]
    is_int = getattr(kind, "name", None) == "Int"
    own = int if is_int else _SAME.get(kind) if hasattr(kind, "name") else None
    words = _words(kind) if is_enum_type(kind) else {}
    return _Variable(signature.name, signature, own, is_int, words, may_be_null, has_default)


def _words(kind: GraphQLEnumType) -> dict[str, Any]:
    return {name: kind.coerce_input_value(name) for name in kind.values}
