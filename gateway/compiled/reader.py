"""Readers: a type with what is selected of it to one function from a value to its part of the answer.

A reader calls no resolver. It raises on anything that is not plainly right (a null where none may be, a number for a
string, something to await): graphql-core then says what is wrong, or does what has to be done.
Must not be here: fields with resolvers (`executor`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import orjson
from graphql import (
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLString,
    Undefined,
    is_abstract_type,
    is_enum_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.pyutils import is_awaitable as may_be_awaited

from gateway.compiled.ways import MARKER, Attribute, Json, Sampled, Ways

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema
    from graphql.execution.collect_fields import FieldDetails

    from gateway.compiled.ways import Way

    FieldDetailsList = list[FieldDetails]
    Collect = Callable[[GraphQLObjectType, FieldDetailsList], dict[str, FieldDetailsList]]

Read = Callable[[Any], Any]

_NONE: Final = type(None)
_MAX_INT, _MIN_INT = 2**31 - 1, -(2**31)  # GraphQL, "Int"
_KEPT: Final = 100  # kinds of values that a place has shown
# Their values are what is written, without a look beyond their class.
_SAME: Final[Mapping[Any, type]] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}
PLAIN: Final = frozenset({str, int, float, bool, _NONE, dict, list, tuple, bytes})  # classes that nobody awaits


class Surprise(Exception):
    """A value is not what a reader can read."""


def is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    """Say the same as graphql-core's own, sooner."""
    return type(value) not in PLAIN and may_be_awaited(value)


class Readers:
    """Makes the readers of one operation."""

    def __init__(self, schema: GraphQLSchema, ways: Ways, collect: Collect) -> None:
        self._schema = schema
        self._ways = ways
        self._collect = collect

    def of(self, kind: Any, details: FieldDetailsList) -> Read | None:
        """Make the reader of a type with what is selected of it; None where that has fields with resolvers."""
        if is_non_null_type(kind):
            return self._of_some(kind.of_type, details)
        read = self._of_some(kind, details)
        return None if read is None else _or_null(read)

    def _of_some(self, kind: Any, details: FieldDetailsList) -> Read | None:
        """Make the reader for values that are not null."""
        if is_list_type(kind):
            read = self.of(kind.of_type, details)
            return None if read is None else _list_of(read)
        if is_leaf_type(kind):
            return _leaf(kind)
        if is_object_type(kind):
            return self._of_object(kind, details)
        return self._of_abstract(kind, details) if is_abstract_type(kind) else None

    def _of_abstract(self, kind: Any, details: FieldDetailsList) -> Read | None:
        possible = {each.name: each for each in self._schema.get_possible_types(kind)}
        by_class: dict[type, Read] = {}
        for each, name in self._ways.types.items():
            if name in possible:
                read = self._of_object(possible[name], details)
                if read is None:
                    return None
                by_class[each] = read
        return (lambda value: by_class[type(value)](value)) if by_class else None

    def _of_object(self, kind: GraphQLObjectType, details: FieldDetailsList) -> Read | None:
        template: dict[str, Any] = {}
        same: dict[str, tuple[str, frozenset[type]]] = {}
        other: list[tuple[str, Read, Read]] = []
        for key, selected in self._collect(kind, details).items():
            template[key] = None
            name = selected[0].node.name.value
            if name == "__typename":
                template[key] = kind.name
                continue
            definition, way = kind.fields.get(name), self._ways.fields.get((kind.name, name))
            if definition is None:
                return None
            if isinstance(way, Attribute) and (classes := _classes(definition.type)):
                same[key] = (way.name, classes)
                continue
            found = self._of_field(way, definition, selected)
            if found is None:
                return None
            other.append((key, *found))
        read = _object(template, same, other)
        return _checked(read, kind.name, self._ways.types) if kind.is_type_of else read

    def _of_field(
        self, way: Way | None, definition: GraphQLField, selected: FieldDetailsList
    ) -> tuple[Read, Read] | None:
        """Find how a field is taken from its object, and how that is read."""
        if isinstance(way, Json):
            convert: Read = _fragment
            return attrgetter(way.text_name), convert if is_non_null_type(definition.type) else _or_null(convert)
        if not isinstance(way, Attribute | Sampled):
            return None
        read = self.of(definition.type, selected)
        if read is None:
            return None
        if isinstance(way, Sampled):
            return _as_it_is, _sampled(way, read)
        return attrgetter(way.name), read


def _classes(kind: Any) -> frozenset[type]:
    """Name the classes whose values are written as they are."""
    if not is_non_null_type(kind):
        own = _SAME.get(kind)
        return frozenset() if own is None else frozenset({own, _NONE})
    own = _SAME.get(kind.of_type)
    return frozenset() if own is None else frozenset({own})


def _object(
    template: dict[str, Any], same: dict[str, tuple[str, frozenset[type]]], other: Sequence[tuple[str, Read, Read]]
) -> Read:
    keys = tuple(same)
    get = _getter([name for name, _ in same.values()])
    allowed = [classes for _, classes in same.values()]
    good: set[tuple[type, ...]] = set()
    fine: set[type] = set()

    def read(source: Any) -> dict[str, Any]:
        if type(source) not in fine:
            _check_object(source)
            if len(fine) < _KEPT:
                fine.add(type(source))
        written = template.copy()
        values = get(source)
        kinds = (*map(type, values),)
        if kinds not in good:
            if any(kind not in classes for kind, classes in zip(kinds, allowed, strict=True)):
                raise Surprise
            if len(good) < _KEPT:
                good.add(kinds)
        written.update(zip(keys, values))  # noqa: B905  (as long as each other, and looked at for every object)
        for key, take, convert in other:
            written[key] = convert(take(source))
        return written

    return read


def _check_object(source: Any) -> None:
    if source is None or source is Undefined or isinstance(source, Exception) or is_awaitable(source):
        raise Surprise


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _source: ()
    if len(names) == 1:
        get = attrgetter(names[0])
        return lambda source: (get(source),)
    return attrgetter(*names)


def _checked(read: Read, name: str, types: Mapping[type, str]) -> Read:
    def read_checked(value: Any) -> Any:
        if types.get(type(value)) != name:
            raise Surprise
        return read(value)

    return read_checked


def _or_null(read: Read) -> Read:
    return lambda value: None if value is None else read(value)


def _list_of(read: Read) -> Read:
    def read_list(value: Any) -> list[Any]:
        if type(value) is not list and type(value) is not tuple:
            raise Surprise
        return [read(item) for item in value]

    return read_list


def _sampled(way: Sampled, read: Read) -> Read:
    pieces = orjson.dumps(read(way.sample)).decode().split(MARKER)
    take, text_of = attrgetter(way.name), way.text_of

    def read_sampled(source: Any) -> Any:
        text = text_of(source)
        return read(take(source)) if text is None else orjson.Fragment(text.join(pieces))

    return read_sampled


def _fragment(text: Any) -> orjson.Fragment:
    if text is None:
        raise Surprise
    return orjson.Fragment(text)


def _as_it_is(source: Any) -> Any:
    return source


def _leaf(kind: Any) -> Read:
    if kind in _SAME:
        return _exactly(_SAME[kind])
    if kind is GraphQLInt:
        return _int
    if kind is GraphQLFloat:
        return _float
    return _enum(kind) if is_enum_type(kind) else _scalar(kind)


def _exactly(own: type) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not own:
            raise Surprise
        return value

    return read


def _int(value: Any) -> int:
    if type(value) is not int or not _MIN_INT <= value <= _MAX_INT:
        raise Surprise
    return value


def _float(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise Surprise
    return value


def _enum(kind: Any) -> Read:
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


def _scalar(kind: Any) -> Read:
    coerce = kind.coerce_output_value

    def read(value: Any) -> Any:
        if value is None or value is Undefined or isinstance(value, Exception) or is_awaitable(value):
            raise Surprise
        written = coerce(value)
        if written is None or written is Undefined:
            raise Surprise
        return written

    return read
