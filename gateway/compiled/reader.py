"""Readers: a type with what is selected of it to one function from a value to its part of the answer.

A reader calls no resolver. It raises on anything that is not plainly right (a null where none may be, a number for a
string, something to await): graphql-core then says what is wrong, or does what has to be done.
Must not be here: fields with resolvers (`executor`).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from operator import attrgetter
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeGuard

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

from gateway.compiled.ways import MARKER, Attribute, Sampled, Ways, Written

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from graphql import GraphQLObjectType, GraphQLSchema
    from graphql.execution.collect_fields import FieldDetails

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
    kind = type(value)
    return kind is CoroutineType or (kind not in PLAIN and may_be_awaited(value))


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
        return None if read is None else or_null(read)

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
        found = _Fields({}, {}, {}, {})
        for key, selected in self._collect(kind, details).items():
            name = selected[0].node.name.value
            found.template[key] = kind.name if name == "__typename" else None
            if name != "__typename" and not self._add(found, key, kind, selected):
                return None
        return _object(found, Fitting(kind, self._ways.types))

    def _add(self, found: _Fields, key: str, kind: GraphQLObjectType, selected: FieldDetailsList) -> bool:
        """Add how a field is read, or say that it needs a resolver."""
        name = selected[0].node.name.value
        definition, way = kind.fields.get(name), self._ways.fields.get((kind.name, name))
        if definition is None:
            return False
        if isinstance(way, Written):
            is_some = is_non_null_type(definition.type)
            found.other[key] = (way.name, way.write if is_some else or_null(way.write))
            return True
        if isinstance(way, Attribute) and (classes := _classes(definition.type)):
            found.same[key] = (way.name, classes)
            return True
        read = self.of(definition.type, selected) if isinstance(way, Attribute | Sampled) else None
        if read is None:
            return False
        if isinstance(way, Sampled):
            found.sampled[key] = _sample(way, read)
        elif isinstance(way, Attribute):
            found.other[key] = (way.name, read)
        return True


class _Fields(NamedTuple):
    """How the fields of an object are read, by their keys in the answer, which `template` has in order."""

    template: dict[str, Any]
    same: dict[str, tuple[str, frozenset[type]]]  # attributes that are written as they are, if they are of a class
    other: dict[str, tuple[str, Read]]  # attributes that are read in turn
    sampled: dict[str, _Sample]


class _Sample(NamedTuple):
    """How a field is read whose value nearly always looks the same: what stands around its text, or else a reader."""

    text_of: Callable[[Any], bytes | None]
    around: list[bytes]
    read: Read


def _classes(kind: Any) -> frozenset[type]:
    """Name the classes whose values are written as they are."""
    if not is_non_null_type(kind):
        own = _SAME.get(kind)
        return frozenset() if own is None else frozenset({own, _NONE})
    own = _SAME.get(kind.of_type)
    return frozenset() if own is None else frozenset({own})


def _object(fields: _Fields, fits: Fitting) -> Read:
    """Generate the reader of an object: one expression that builds its part of the answer.

    For a type with `id` and `role` it reads: `{"id": value if type(value := source.id) in ids else fail(), "role":
    write(source.role_value)}`.
    """
    known: dict[str, Any] = {"fits": fits, "seen": fits.seen, "fail": _fail, "type": type, "written": orjson.Fragment}
    body = {key: ast.Constant(value) for key, value in fields.template.items()} | {
        **{key: _same(name, _named(known, classes)) for key, (name, classes) in fields.same.items()},
        **{key: _called(_named(known, read), _attribute(name)) for key, (name, read) in fields.other.items()},
        **{key: _looked(sample, known) for key, sample in fields.sampled.items()},
    }
    made = ast.parse("def read(source):\n  if type(source) not in seen and not fits(source): fail()\n  return {}")
    made.body[0].body[1].value = ast.Dict([ast.Constant(key) for key in body], list(body.values()))  # type: ignore[attr-defined]
    exec(compile(ast.fix_missing_locations(made), "<reader>", "exec"), known)  # noqa: S102  (only names of ours)
    read: Read = known["read"]
    return read


def _named(known: dict[str, Any], value: Any) -> str:
    name = f"known_{len(known)}"
    known[name] = value
    return name


def _attribute(name: str) -> ast.expr:
    return ast.Attribute(_source(), name, ast.Load())


def _called(name: str, argument: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), [argument], [])


def _same(name: str, classes: str) -> ast.expr:
    value = ast.NamedExpr(ast.Name("value", ast.Store()), _attribute(name))
    is_right = ast.Compare(_called("type", value), [ast.In()], [ast.Name(classes, ast.Load())])
    return ast.IfExp(is_right, ast.Name("value", ast.Load()), ast.Call(ast.Name("fail", ast.Load()), [], []))


def _looked(sample: _Sample, known: dict[str, Any]) -> ast.expr:
    text = ast.NamedExpr(ast.Name("text", ast.Store()), _called(_named(known, sample.text_of), _source()))
    is_other = ast.Compare(text, [ast.Is()], [ast.Constant(None)])
    join = ast.Attribute(ast.Name("text", ast.Load()), "join", ast.Load())
    whole = ast.Call(join, [ast.Name(_named(known, sample.around), ast.Load())], [])
    written = ast.Call(ast.Name("written", ast.Load()), [whole], [])
    return ast.IfExp(is_other, _called(_named(known, sample.read), _source()), written)


def _source() -> ast.expr:
    return ast.Name("source", ast.Load())


def _fail() -> NoReturn:
    raise Surprise


class Fitting:
    """Says whether a value is certainly an object of a type; what is found of one holds for its class."""

    def __init__(self, kind: GraphQLObjectType, types: Mapping[type, str]) -> None:
        self._expected = kind.name if kind.is_type_of else None
        self._types = types
        self.seen: set[type] = set()  # classes whose objects are

    def __call__(self, value: Any) -> bool:
        """Look at a value."""
        own = type(value)
        if own in self.seen:
            return True
        is_none = value is None or value is Undefined
        is_other = self._expected not in (None, self._types.get(own))
        if is_none or is_other or isinstance(value, Exception) or is_awaitable(value):
            return False
        if len(self.seen) < _KEPT:
            self.seen.add(own)
        return True


def or_null(read: Read) -> Read:
    """Let a reader also read nulls."""
    return lambda value: None if value is None else read(value)


def _list_of(read: Read) -> Read:
    def read_list(value: Any) -> list[Any]:
        if type(value) is not list and type(value) is not tuple:
            raise Surprise
        return [read(item) for item in value]

    return read_list


def _sample(way: Sampled, read: Read) -> _Sample:
    take = attrgetter(way.name)
    around = orjson.dumps(read(way.sample)).split(MARKER.encode())
    return _Sample(way.text_of, around, lambda source: read(take(source)))


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
