"""Readers: functions from a value to its part of the response, for a type with its selected fields.

A reader calls no resolver. It raises on any unexpected value (a null for a non-null type, a number for a string, an
awaitable); graphql-core then completes the value, or reports its error.
Must not be here: the source of readers (`codegen`), fields with resolvers (`selection`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import orjson
from graphql import (
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLString,
    Undefined,
)
from graphql.pyutils import is_awaitable as may_be_awaited

from gateway.fast_executor.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from graphql import GraphQLObjectType

Leaf = Callable[[Any], Any]
Read = Callable[[Any, Meter], Any]
new_tuple = tuple.__new__  # the constructors of graphql-core's tuples take three times as long

_CACHED: Final = 100  # classes or values of one position
# Never awaitable.
PLAIN: Final = frozenset({str, int, float, bool, type(None), dict, list, tuple, bytes, orjson.Fragment})
# Leaves that are serialized unchanged, with the condition that a value is invalid. Source: GraphQL, "Int".
INVALID: Final = {
    GraphQLString: "type({0}) is not str",
    GraphQLID: "type({0}) is not str",
    GraphQLBoolean: "type({0}) is not bool",
    GraphQLInt: "type({0}) is not int or not -2147483648 <= {0} <= 2147483647",
}


class NeedsExecutor(Exception):
    """A field has a resolver, or the selection is too large for one function."""


class Bailout(Exception):
    """A fast path cannot read a value; graphql-core has to complete it."""


def is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    """Return the same as graphql-core's function, faster."""
    kind = type(value)
    return kind is CoroutineType or (kind not in PLAIN and may_be_awaited(value))


class ObjectCheck:
    """Checks that a value is certainly an object of a type; the result is cached by class."""

    def __init__(self, kind: GraphQLObjectType, classes: Sequence[type]) -> None:
        # Without classes every value is accepted, unless the type has its own check.
        self._classes = frozenset(classes) if classes or kind.is_type_of else None
        self.accepted: set[type] = set()

    def __call__(self, value: Any) -> bool:
        """Check a value."""
        own = type(value)
        if own in self.accepted:
            return True
        is_none = value is None or value is Undefined
        is_other = self._classes is not None and own not in self._classes
        if is_none or is_other or isinstance(value, Exception) or is_awaitable(value):
            return False
        if len(self.accepted) < _CACHED:
            self.accepted.add(own)
        return True


def nullable(read: Read) -> Read:
    """Make a reader that also accepts null."""
    return lambda value, meter: None if value is None else read(value, meter)


def leaf_reader(kind: Any) -> Leaf:
    """Make the function that serializes a leaf which its class alone does not determine."""
    if kind is GraphQLFloat:
        return _float
    return _scalar(kind)


def _float(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise Bailout
    return value


def _scalar(kind: Any) -> Leaf:
    coerce = kind.coerce_output_value

    def read(value: Any) -> Any:
        if value is None or value is Undefined or isinstance(value, Exception) or is_awaitable(value):
            raise Bailout
        serialized = coerce(value)
        if serialized is None or serialized is Undefined:
            raise Bailout
        return serialized

    return read
