"""Readers: a type with what is selected of it to one function from a value to its part of the answer.

A reader calls no resolver. It raises on anything that is not plainly right (a null where none may be, a number for a
string, something to await): graphql-core then says what is wrong, or does what has to be done.
Must not be here: the text of readers (`codegen`), fields with resolvers (`executor`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from graphql import GraphQLFloat, Undefined, is_enum_type
from graphql.pyutils import is_awaitable as may_be_awaited

from gateway.fast_executor.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from graphql import GraphQLObjectType

Leaf = Callable[[Any], Any]
Read = Callable[[Any, Meter], Any]
new_tuple = tuple.__new__  # the constructors of graphql-core's tuples take three times as long

_KEPT: Final = 100  # kinds of values that a place has shown
PLAIN: Final = frozenset({str, int, float, bool, type(None), dict, list, tuple, bytes})  # classes that nobody awaits


class Surprise(Exception):
    """A value is not what a reader can read."""


def is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    """Say the same as graphql-core's own, sooner."""
    kind = type(value)
    return kind is CoroutineType or (kind not in PLAIN and may_be_awaited(value))


class Fitting:
    """Says whether a value is certainly an object of a type; what is found of one holds for its class."""

    def __init__(self, kind: GraphQLObjectType, classes: Sequence[type]) -> None:
        # Where there are none, whatever comes is one, unless the type looks for itself.
        self._classes = frozenset(classes) if classes or kind.is_type_of else None
        self.seen: set[type] = set()  # classes whose objects are

    def __call__(self, value: Any) -> bool:
        """Look at a value."""
        own = type(value)
        if own in self.seen:
            return True
        is_none = value is None or value is Undefined
        is_other = self._classes is not None and own not in self._classes
        if is_none or is_other or isinstance(value, Exception) or is_awaitable(value):
            return False
        if len(self.seen) < _KEPT:
            self.seen.add(own)
        return True


def or_null(read: Read) -> Read:
    """Let a reader also read nulls."""
    return lambda value, meter: None if value is None else read(value, meter)


def leaf_reader(kind: Any) -> Leaf:
    """Make what writes a leaf whose class alone does not say how."""
    if kind is GraphQLFloat:
        return _float
    return _enum(kind) if is_enum_type(kind) else _scalar(kind)


def _float(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise Surprise
    return value


def _enum(kind: Any) -> Leaf:
    known: dict[tuple[type, Any], Any] = {}  # at most a word for each of its values and classes
    write = _scalar(kind)

    def read(value: Any) -> Any:
        own = (type(value), value)
        if own not in known:
            written = write(value)
            if len(known) == _KEPT:
                return written
            known[own] = written
        return known[own]

    return read


def _scalar(kind: Any) -> Leaf:
    coerce = kind.coerce_output_value

    def read(value: Any) -> Any:
        if value is None or value is Undefined or isinstance(value, Exception) or is_awaitable(value):
            raise Surprise
        written = coerce(value)
        if written is None or written is Undefined:
            raise Surprise
        return written

    return read
