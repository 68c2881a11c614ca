"""The text of readers: one function for all that is selected of a value, with the types below it written into it.

It is made of names of our own, of GraphQL's names and of Python's, as the standard library makes a data class; all
values are handed to it. A call for each object, let alone for each field, would cost more than what it does.
Must not be here: how leaves are read, and what makes a value certain (`readers`).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from keyword import iskeyword
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from graphql import (
    GraphQLBoolean,
    GraphQLID,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLString,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

from gateway.fast_executor.hints import MARKER, Attribute, Direct, Itself, Known, Places, Sampled, Ways, Written
from gateway.fast_executor.meter import LONG, Meter
from gateway.fast_executor.readers import Fitting, Surprise, leaf_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from graphql import GraphQLSchema
    from graphql.execution.collect_fields import FieldDetails

    from gateway.fast_executor.readers import Read

    FieldDetailsList = list[FieldDetails]
    Collect = Callable[[GraphQLObjectType, FieldDetailsList], dict[str, FieldDetailsList]]

MAX_FIELDS: Final = 1_000  # of one operation that readers are made for; a reader of so many takes 50 ms to make
_MAX_DEPTH: Final = 50  # blocks within blocks; Python takes a hundred
# Leaves that are written as they are, and what says that a value is none of theirs. Source: GraphQL, "Int".
_OTHER: Final = {
    GraphQLString: "type({0}) is not str",
    GraphQLID: "type({0}) is not str",
    GraphQLBoolean: "type({0}) is not bool",
    GraphQLInt: "type({0}) is not int or not -2147483648 <= {0} <= 2147483647",
}

_PLACE: Final = "<{}:{}>"  # of a row: its number is known once all is written
_PLACES: Final = re.compile(r"\[<(\d+):(\w+)>\]")
# Source: JSON (RFC 8259), section 7: a quotation mark within a string stands behind a backslash.
_WITHIN_A_STRING: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+').fullmatch


class Readers:
    """Makes the readers of one operation."""

    def __init__(self, schema: GraphQLSchema, ways: Ways, collect: Collect) -> None:
        self.schema = schema
        self.ways = ways
        self.collect = collect
        self.fields_left = MAX_FIELDS

    def of(self, kind: Any, details: FieldDetailsList) -> tuple[Read, Places | None] | None:
        """Make the reader of a type with what is selected of it, and say of which places rows may be.

        None where fields have resolvers.
        """
        fields_left, places = self.fields_left, _Places()
        try:
            read = _Program(self, places, takes_rows=True).function(kind, details)
            if places.is_known:
                return read, places.in_order()
            self.fields_left = fields_left
            return _Program(self, places).function(kind, details), None
        except _NeedsExecutor:
            return None


class _NeedsExecutor(Exception):
    """A field has a resolver, or there is too much to be written into a function."""


class _Places:
    """Gathers which places of tuples are read, by their classes."""

    def __init__(self) -> None:
        self._read: dict[type, set[str]] = {}
        self.is_known = True

    def note(self, own: type, name: str) -> None:
        """Note an attribute that is read; one that is no place may be made of any of them."""
        self._read.setdefault(own, set()).add(name)
        self.is_known = self.is_known and name in _places_of(own)

    def in_order(self) -> Places:
        """Give them in the order of their classes."""
        return {own: tuple(name for name in _places_of(own) if name in read) for own, read in self._read.items()}


def _places_of(own: type | None) -> tuple[str, ...]:
    places: tuple[str, ...] = getattr(own, "_fields", ())
    return places


class _Source(NamedTuple):
    """The name of an object within a function, and its class, where that is certain; a row may stand for it."""

    name: str
    own: type | None
    read: _Places
    is_row: bool = False

    def attribute(self, name: str) -> str:
        """Write how an attribute is read."""
        places = _places_of(self.own)
        if self.own is not None and places:
            self.read.note(self.own, name)
        if name in places:
            return f"{self.name}[{_PLACE.format(id(self.own), name) if self.is_row else places.index(name)}]"
        is_plain = name.isidentifier() and not iskeyword(name)
        return f"{self.name}.{name}" if is_plain else f"getattr({self.name}, {name!r})"


class _Piece(NamedTuple):
    """A piece of JSON: the inside of a formatted string, or an expression that gives bytes."""

    text: str
    is_bytes: bool = False


class _Program:
    """One function as it is written, line by line; each value that it makes has a name of its own."""

    def __init__(self, readers: Readers, read: _Places, *, takes_rows: bool = False) -> None:
        self._readers = readers
        self._read = read
        self._takes_rows = takes_rows
        self._lines: list[str] = []
        self._depth = 1
        self._names = 0
        self._once: list[dict[str, str]] = [{}]  # what was read, by how, in each block around the line at hand
        self._certain: dict[str, type] = {}  # the classes of values that were looked at
        self._known: dict[str, Any] = {"Surprise": Surprise, "written": orjson.Fragment, "dumps": orjson.dumps}

    def function(self, kind: Any, details: FieldDetailsList) -> Read:
        """Write the function and make it.

        Errors: _NeedsExecutor.
        """
        result = self._value(kind, details, "source")
        text = "\n".join(["def read(source, meter):", *self._lines, f" return {result}"])
        if self._takes_rows:
            places = {str(id(own)): names for own, names in self._read.in_order().items()}
            text = _PLACES.sub(lambda found: f"[{places[found[1]].index(found[2])}]", text)
        exec(compile(text, "<reader>", "exec"), self._known)  # noqa: S102  (what it is made of: see above)
        read: Read = self._known["read"]
        return read

    def _value(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Write how a value is read, and name the result."""
        if is_non_null_type(kind):
            return self._some(kind.of_type, details, source)
        result = self._put("None")
        with self._block(f"if {source} is not None:"):
            self._say(f"{result} = {self._some(kind, details, source)}")
        return result

    def _some(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Write the same for a value that is not null."""
        if is_list_type(kind):
            return self._list(kind.of_type, details, source)
        if is_leaf_type(kind):
            return self._leaf(kind, source)
        if is_object_type(kind):
            return self._object(kind, details, source)
        return self._abstract(kind, details, source)

    def _list(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        self._surprised_if(f"type({source}) is not list and type({source}) is not tuple")
        own = self._classes_of(kind.of_type) if is_non_null_type(kind) else []
        if len(own) == 1:
            return self._texts(kind.of_type, details, source, own[0], {})
        if is_non_null_type(kind) and is_composite_type(kind.of_type):
            self._say(f"meter.count(len({source}))")
        result, item = self._put("[]"), self._name()
        with self._block(f"for {item} in meter.walk({source}):"):
            self._say(f"{result}.append({self._value(kind, details, item)})")
        return result

    def _texts(
        self,
        kind: GraphQLObjectType,
        details: FieldDetailsList,
        source: str,
        own: type,
        ways: Mapping[str, Written | Itself],
        *,
        are_rows: bool = False,
    ) -> str:
        """Write a list of objects as JSON at once: with a dict for each, a page of 100 costs a twentieth more."""
        # All pieces of all items are joined once, at the end.
        self._say(f"meter.count(len({source}))")
        before = self._put("meter.written")
        result, comma, item = self._put("[b'[']"), self._put("''"), self._name()
        with self._block(f"for {item} in meter.walk({source}):"):
            of_item = _Source(item, own, self._read, is_row=True) if are_rows else self._exactly(own, item)
            pieces = [_Piece(f"{{{comma}}}"), *self._text(kind, details, of_item, ways)]
            self._say(f"{result} += ({_laid_out(pieces)},)")
            self._say(f"{comma} = ','")
        self._say(f"{result}.append(b']')")
        return self._put(f"written(meter.wrote({before}, b''.join({result})))")

    def _text(
        self, kind: GraphQLObjectType, details: FieldDetailsList, source: _Source, ways: Mapping[str, Written | Itself]
    ) -> list[_Piece]:
        """Write an object as pieces of JSON."""
        pieces: list[_Piece] = []
        for key, selected in self._readers.collect(kind, details).items():
            pieces.append(_Piece(f'{"," if pieces else "{{"}"{key}":'))
            pieces += self._field_text(kind, selected, source, ways.get(selected[0].node.name.value))
        return [*pieces, _Piece("}}" if pieces else "{{}}")]

    def _field_text(
        self, kind: GraphQLObjectType, selected: FieldDetailsList, source: _Source, own: Written | Itself | None
    ) -> list[_Piece]:
        name = selected[0].node.name.value
        definition, way = kind.fields.get(name), own or self._readers.ways.fields.get((kind.name, name))
        if definition is None:
            return [_Piece(f"dumps({self._field(kind, selected, source, own)})", is_bytes=True)]
        self._count()
        if isinstance(way, Itself | Attribute) and is_non_null_type(definition.type):
            inner = definition.type.of_type
            classes = self._classes_of(inner)
            if isinstance(way, Itself) and classes == [source.own]:
                return self._text(inner, selected, source, {})
            if len(classes) == 1:
                held = source.name if isinstance(way, Itself) else self._put(source.attribute(way.name))
                return self._text(inner, selected, self._exactly(classes[0], held), {})
        if isinstance(way, Sampled):
            return self._sampled(way, source, _Program(self._readers, self._read).function(definition.type, selected))
        if isinstance(way, Written) and (way.plain or way.write is orjson.Fragment):
            return self._written_text(way, source, may_be_null=not is_non_null_type(definition.type))
        return [_Piece(f"dumps({self._field(kind, selected, source, own)})", is_bytes=True)]

    def _written_text(self, way: Written, source: _Source, *, may_be_null: bool) -> list[_Piece]:
        value = self._read_once(source, way.name)
        text = value if way.write in (None, orjson.Fragment) else self._made(way.write, value)
        quote = '"' if way.plain else ""
        if not may_be_null:
            return [_Piece(f"{quote}{{{text if text == value else self._put(text)}}}{quote}")]
        quoted = f"'{quote}' + {text} + '{quote}'"
        either = self._put(f"'null' if {value} is None else {quoted}")
        return [_Piece(f"{{{either}}}")]

    def _classes_of(self, kind: Any) -> list[type]:
        return self._readers.ways.classes_of(kind.name) if is_object_type(kind) else []

    def _leaf(self, kind: Any, source: str) -> str:
        other = _OTHER.get(kind)
        if other is None:
            return self._put(f"{self._handed(leaf_reader(kind))}({source})")
        self._surprised_if(other.format(source))
        if kind is GraphQLString:
            self._metered(source)
        return source

    def _object(self, kind: GraphQLObjectType, details: FieldDetailsList, source: str) -> str:
        own = self._readers.ways.classes_of(kind.name)
        if len(own) == 1:
            return self._fields(kind, details, self._exactly(own[0], source), {})
        fits = Fitting(kind, own)
        self._surprised_if(f"type({source}) not in {self._handed(fits.seen)} and not {self._handed(fits)}({source})")
        return self._fields(kind, details, _Source(source, None, self._read), {})

    def _exactly(self, own: type, source: str) -> _Source:
        if self._certain.get(source) is not own:
            self._surprised_if(f"type({source}) is not {self._handed(own)}")
            self._certain[source] = own
        return _Source(source, own, self._read)

    def _fields(
        self, kind: GraphQLObjectType, details: FieldDetailsList, source: _Source, ways: Mapping[str, Written | Itself]
    ) -> str:
        pairs = [
            f"{key!r}: {self._field(kind, selected, source, ways.get(selected[0].node.name.value))}"
            for key, selected in self._readers.collect(kind, details).items()
        ]
        return self._put(f"{{{', '.join(pairs)}}}")

    def _known_value(self, known: Known, kind: Any, details: FieldDetailsList, source: _Source) -> str:
        """Write how something is read that may be known, in place of calling its resolver."""
        if known.rows is not None and known.of is not None and self._takes_rows:
            return self._rows_or_value(known.rows, known, kind, details, source)
        value = self._put(source.attribute(known.name))
        self._surprised_if(f"{value} is None")
        if known.of is None:
            return self._value(kind, details, value)
        own = get_named_type(kind)
        if not is_list_type(get_nullable_type(kind)):
            return self._fields(own, details, self._exactly(known.of, value), known.fields)
        return self._texts(own, details, value, known.of, known.fields)

    def _rows_or_value(self, rows: str, known: Known, kind: Any, details: FieldDetailsList, source: _Source) -> str:
        """Write how rows are read where there are any, and the list that they stand for where there are none."""
        assert known.of is not None  # noqa: S101  (rows stand for tuples of a class)
        held, result = self._put(source.attribute(rows)), self._put("None")
        with self._block(f"if {held} is None:"):
            whole = self._known_value(replace(known, rows=None), kind, details, source)
            self._say(f"{result} = {whole}")
        with self._block("else:"):
            read = self._texts(get_named_type(kind), details, held, known.of, known.fields, are_rows=True)
            self._say(f"{result} = {read}")
        return result

    def _abstract(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Go by the class of a value, where there are classes of which all is known."""
        schema, types = self._readers.schema, self._readers.ways.types
        possible = {each.name: each for each in schema.get_possible_types(kind)} if is_abstract_type(kind) else {}
        by_class = {
            own: _Program(self._readers, self._read).function(possible[name], details)
            for own, name in types.items()
            if name in possible
        }
        if not by_class:
            raise _NeedsExecutor
        return self._put(f"{self._handed(by_class)}[type({source})]({source}, meter)")

    def _field(
        self, kind: GraphQLObjectType, selected: FieldDetailsList, source: _Source, own: Written | Itself | None
    ) -> str:
        self._count()
        name = selected[0].node.name.value
        if name == "__typename":
            return repr(kind.name)
        definition, way = kind.fields.get(name), own or self._readers.ways.fields.get((kind.name, name))
        if definition is None:
            raise _NeedsExecutor
        if isinstance(way, Itself):
            if source.is_row:  # it cannot be asked of what class it is
                self._read.is_known = False
            return self._value(definition.type, selected, source.name)
        if isinstance(way, Attribute):
            return self._value(definition.type, selected, self._put(source.attribute(way.name)))
        if isinstance(way, Written):
            return self._written(way, source, may_be_null=not is_non_null_type(definition.type))
        if isinstance(way, Direct) and way.known is not None:
            return self._known_value(way.known, definition.type, selected, source)
        if isinstance(way, Sampled):
            pieces = self._sampled(way, source, _Program(self._readers, self._read).function(definition.type, selected))
            return self._put(f"written({_joined(pieces)})")
        raise _NeedsExecutor

    def _written(self, way: Written, source: _Source, *, may_be_null: bool) -> str:
        value = self._read_once(source, way.name)
        if way.write is None:
            return value
        write = self._made(way.write, value)
        return self._put(f"None if {value} is None else {write}" if may_be_null else write)

    def _made(self, write: Callable[[Any], Any], value: str) -> str:
        """Write what a function makes of a value; a dict is looked into, which is sooner done than to call it."""
        of = getattr(write, "__self__", None)
        is_look_up = isinstance(of, dict) and write == of.__getitem__
        return f"{self._handed(of)}[{value}]" if is_look_up else f"{self._handed(write)}({value})"

    def _sampled(self, way: Sampled, source: _Source, read: Read) -> list[_Piece]:
        """Write the answer around the one string of a value like the sample, and read all others."""
        first, *others = orjson.dumps(read(way.sample, Meter())).split(MARKER.encode())
        stored = self._read_once(source, way.stored)
        begin, end, behind = self._handed(way.begin), self._handed(way.end), self._handed(way.end[1:])
        begins, text, ends, rest = (self._name() for _ in range(4))
        again = f" + {text} + ".join(self._handed(each) for each in others)
        around = f"{begins} = {self._handed(first)}; " + (f"{ends} = {again}" if others else f"{text} = {ends} = b''")
        # Few strings hold a quotation mark, so the first one closes most. Where it does not, or where this begins
        # otherwise than the sample, what is behind it is not the same: in JSON they come in pairs.
        self._say(f"{text}, _, {rest} = {stored}.removeprefix({begin}).partition(b'\"')")
        with self._block(f"if {rest} == {behind}:"):
            self._say(around)
            self._metered(text)
        is_surrounded = f"{stored}.startswith({begin}) and {stored}.endswith({end})"
        within = f"{stored}, {len(way.begin)}, len({stored}) - {len(way.end)}"
        with self._block(f"elif {is_surrounded} and {self._handed(_WITHIN_A_STRING)}({within}):"):
            self._say(f"{text} = {stored}[{len(way.begin)}:-{len(way.end)}]; {around}")
            self._metered(text)
        with self._block("else:"):
            whole = f"dumps({self._handed(read)}({self._handed(way.load)}({stored}), meter))"
            self._say(f"{begins} = {ends} = b''; {text} = {whole}")
        return [_Piece(each, is_bytes=True) for each in (begins, text, ends)]

    def _metered(self, text: str) -> None:
        with self._block(f"if len({text}) > {LONG}:"):
            self._say(f"meter.write({text})")

    def _count(self) -> None:
        self._readers.fields_left -= 1
        if self._readers.fields_left < 0:
            raise _NeedsExecutor

    def _say(self, line: str) -> None:
        self._lines.append(" " * self._depth + line)

    def _surprised_if(self, condition: str) -> None:
        self._say(f"if {condition}: raise Surprise")

    @contextmanager
    def _block(self, line: str) -> Iterator[None]:
        if self._depth == _MAX_DEPTH:
            raise _NeedsExecutor
        self._say(line)
        self._depth += 1
        self._once.append({})
        yield
        self._once.pop()
        self._depth -= 1

    def _read_once(self, source: _Source, name: str) -> str:
        """Name an attribute, which is read anew only where it was not read yet."""
        how = source.attribute(name)
        for read in self._once:
            if how in read:
                return read[how]
        value = self._once[-1][how] = self._put(how)
        return value

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def _put(self, expression: str) -> str:
        name = self._name()
        self._say(f"{name} = {expression}")
        return name

    def _handed(self, value: Any) -> str:
        name = f"k{len(self._known)}"
        self._known[name] = value
        return name


def _joined(pieces: list[_Piece]) -> str:
    """Write what joins pieces of JSON."""
    return f"b''.join(({_laid_out(pieces)},))"


def _laid_out(pieces: list[_Piece]) -> str:
    """Write pieces of JSON as bytes, behind each other; neighbours that are text are one string."""
    together = [
        (is_bytes, [piece.text for piece in own]) for is_bytes, own in groupby(pieces, key=attrgetter("is_bytes"))
    ]
    return ", ".join(", ".join(texts) if is_bytes else _encoded("".join(texts)) for is_bytes, texts in together)


def _encoded(text: str) -> str:
    """Write the inside of a formatted string as bytes, at once where nothing is put into it."""
    plain = text.replace("{{", "").replace("}}", "")
    return f"f'{text}'.encode()" if "{" in plain else repr(text.replace("{{", "{").replace("}}", "}").encode())
