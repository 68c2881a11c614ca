"""The source of readers: one generated function for a value and all that is selected of it.

The source consists of our own names, GraphQL names and Python's, as the standard library generates data classes;
values are passed as globals. A call per object, let alone per field, would cost more than its work.
Must not be here: how leaves are read and objects are checked (`readers`).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import (
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

from gateway.fast_executor.columns import ColumnsRead, Source
from gateway.fast_executor.compiling import Generated, Later
from gateway.fast_executor.hints import (
    MARKER,
    Attribute,
    Columns,
    FieldHints,
    Key,
    Parsed,
    Preloaded,
    Resolver,
    Self,
    Serialized,
)
from gateway.fast_executor.meter import LONG, Meter
from gateway.fast_executor.pieces import Piece, as_bytes, joined
from gateway.fast_executor.readers import INVALID, Bailout, ObjectCheck, leaf_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from graphql import GraphQLSchema
    from graphql.execution.collect_fields import FieldDetails

    from gateway.fast_executor.readers import Read

    FieldDetailsList = list[FieldDetails]
    Collect = Callable[[GraphQLObjectType, FieldDetailsList], dict[str, FieldDetailsList]]

MAX_FIELDS: Final = 1_000  # of one operation; generating a reader with so many takes 50 ms
_MAX_DEPTH: Final = 50  # of nested blocks; Python allows a hundred
_COLUMN_INDEXES: Final = re.compile(r"\[<(\d+):(\w+)>\]")


class Readers:
    """Generates the readers of one operation."""

    def __init__(self, schema: GraphQLSchema, hints: FieldHints, collect: Collect) -> None:
        self.schema = schema
        self.hints = hints
        self.collect = collect
        self.fields_left = MAX_FIELDS
        self.prefetched = False

    def build(
        self, kind: Any, details: FieldDetailsList, *, prefetched: bool
    ) -> tuple[Generated, Columns | None] | None:
        """Generate the reader of a type with its selected fields, and list the columns that it reads.

        None if fields have resolvers, unless their results are `prefetched`.
        """
        self.prefetched = prefetched
        fields_left, columns = self.fields_left, ColumnsRead()
        try:
            generated = _Function(self, columns, takes_rows=True).generate(kind, details)
            if columns.is_known:
                return generated, columns.in_order()
            self.fields_left = fields_left
            return _Function(self, columns).generate(kind, details), None
        except _NeedsExecutor:
            return None


class _NeedsExecutor(Exception):
    """A field has a resolver, or the selection is too large for one function."""


class _Function:
    """One function while it is generated, line by line; each value is assigned to a variable of its own."""

    def __init__(
        self, readers: Readers, read: ColumnsRead, *, takes_rows: bool = False, takes_json: bool = False
    ) -> None:
        self._readers = readers
        self._read = read
        self._takes_rows = takes_rows
        self._takes_json = takes_json
        self._lines: list[str] = []
        self._depth = 1
        self._names = 0
        self._variables: list[dict[str, str]] = [{}]  # by expression, for each enclosing block
        self._checked: dict[str, type] = {}  # the classes of variables whose class was checked
        self._globals: dict[str, Any] = {"Bailout": Bailout, "fragment": orjson.Fragment, "dumps": orjson.dumps}

    def generate(self, kind: Any, details: FieldDetailsList) -> Generated:
        """Generate the function.

        Errors: _NeedsExecutor.
        """
        return self._whole(self._value(kind, details, "source"))

    def _whole(self, result: str) -> Generated:
        # Stored JSON is short enough to count its objects, and to look at the clock, once.
        begin, end = ([" count = 0"], [" meter.add_objects(count)"]) if self._takes_json else ([], [])
        text = "\n".join(["def read(source, meter):", *begin, *self._lines, *end, f" return {result}"])
        if self._takes_rows:
            columns = {str(id(own)): names for own, names in self._read.in_order().items()}
            text = _COLUMN_INDEXES.sub(lambda found: f"[{columns[found[1]].index(found[2])}]", text)
        return Generated(text, self._globals)

    def _value(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Generate the read of a value, and return its expression."""
        if is_non_null_type(kind):
            return self._non_null(kind.of_type, details, source)
        if kind in INVALID and self._takes_json:
            self._bail_out_if(f"{source} is not None and ({INVALID[kind].format(source)})")
            return source
        result = self._assign("None")
        with self._block(f"if {source} is not None:"):
            self._line(f"{result} = {self._non_null(kind, details, source)}")
        return result

    def _non_null(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Generate the same for a value that is not null."""
        if is_list_type(kind):
            return self._list(kind.of_type, details, source)
        if is_leaf_type(kind):
            return self._leaf(kind, source)
        if is_object_type(kind):
            return self._object(kind, details, source)
        return self._abstract(kind, details, source)

    def _list(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        self._bail_out_if(f"type({source}) is not list and type({source}) is not tuple")
        own = self._classes_of(kind.of_type) if is_non_null_type(kind) and not self._takes_json else []
        if len(own) == 1:
            return self._assign(f"fragment({self._json_list(kind.of_type, details, source, own[0], {})})")
        if is_non_null_type(kind) and is_composite_type(kind.of_type):
            self._line(f"count += len({source})" if self._takes_json else f"meter.add_objects(len({source}))")
        result, item = self._assign("[]"), self._name()
        with self._block(f"for {item} in {source if self._takes_json else f'meter.iterate({source})'}:"):
            self._line(f"{result}.append({self._value(kind, details, item)})")
        return result

    def _json_list(
        self,
        kind: GraphQLObjectType,
        details: FieldDetailsList,
        source: str,
        own: type,
        hints: Mapping[str, Serialized | Self],
        *,
        are_rows: bool = False,
    ) -> str:
        """Generate a list of objects as JSON: with a dict per object, a page of 100 costs a twentieth more."""
        # All pieces of all items are joined once, at the end.
        self._line(f"meter.add_objects(len({source}))")
        before = self._assign("meter.bytes")
        result, comma, item = self._assign("[b'[']"), self._assign("''"), self._name()
        with self._block(f"for {item} in meter.iterate({source}):"):
            of_item = Source(item, own, self._read, is_row=True) if are_rows else self._exactly(own, item)
            pieces = [Piece(f"{{{comma}}}"), *self._json_object(kind, details, of_item, hints)]
            self._line(f"{result} += ({as_bytes(pieces)},)")
            self._line(f"{comma} = ','")
        self._line(f"{result}.append(b']')")
        return self._assign(f"meter.replace_text({before}, b''.join({result}))")

    def _json_object(
        self,
        kind: GraphQLObjectType,
        details: FieldDetailsList,
        source: Source,
        hints: Mapping[str, Serialized | Self],
    ) -> list[Piece]:
        """Generate an object as pieces of JSON."""
        pieces: list[Piece] = []
        for key, selected in self._readers.collect(kind, details).items():
            pieces.append(Piece(f'{"," if pieces else "{{"}"{key}":'))
            pieces += self._json_field(kind, selected, source, hints.get(selected[0].node.name.value))
        return [*pieces, Piece("}}" if pieces else "{{}}")]

    def _json_field(
        self, kind: GraphQLObjectType, selected: FieldDetailsList, source: Source, own: Serialized | Self | None
    ) -> list[Piece]:
        name = selected[0].node.name.value
        definition, hint = kind.fields.get(name), own or self._readers.hints.fields.get((kind.name, name))
        if definition is None:
            return [Piece(f"dumps({self._field(kind, selected, source, own)})", is_bytes=True)]
        self._count_fields()
        if isinstance(hint, Self | Attribute) and is_non_null_type(definition.type):
            inner = definition.type.of_type
            classes = self._classes_of(inner)
            if isinstance(hint, Self) and classes == [source.own]:
                return self._json_object(inner, selected, source, {})
            if len(classes) == 1:
                value = source.name if isinstance(hint, Self) else self._assign(source.attribute(hint.name))
                return self._json_object(inner, selected, self._exactly(classes[0], value), {})
        if isinstance(hint, Parsed):
            return self._parsed(hint, definition.type, selected, source)
        if isinstance(hint, Resolver):
            return self._json_resolved(hint, definition.type, selected, source)
        if isinstance(hint, Serialized) and (hint.plain or hint.serialize is orjson.Fragment):
            return self._json_serialized(hint, source, may_be_null=not is_non_null_type(definition.type))
        return [Piece(f"dumps({self._field(kind, selected, source, own)})", is_bytes=True)]

    def _json_serialized(self, hint: Serialized, source: Source, *, may_be_null: bool) -> list[Piece]:
        value = self._cached(source, hint.name)
        text = value if hint.serialize in (None, orjson.Fragment) else self._call(hint.serialize, value)
        quote = '"' if hint.plain else ""
        if not may_be_null:
            return [Piece(f"{quote}{{{text if text == value else self._assign(text)}}}{quote}")]
        quoted = f"'{quote}' + {text} + '{quote}'"
        either = self._assign(f"'null' if {value} is None else {quoted}")
        return [Piece(f"{{{either}}}")]

    def _classes_of(self, kind: Any) -> list[type]:
        return self._readers.hints.classes_of(kind.name) if is_object_type(kind) else []

    def _leaf(self, kind: Any, source: str) -> str:
        invalid = INVALID.get(kind)
        if invalid is None:
            return self._assign(f"{self._global(leaf_reader(kind))}({source})")
        self._bail_out_if(invalid.format(source))
        if kind is GraphQLString and not self._takes_json:  # which is counted when it is written
            self._count_text(source)
        return source

    def _object(self, kind: GraphQLObjectType, details: FieldDetailsList, source: str) -> str:
        if self._takes_json:
            return self._fields(kind, details, Source(source, None, self._read), {})
        return self._fields(kind, details, self._checked_object(kind, source), {})

    def _checked_object(self, kind: GraphQLObjectType, source: str) -> Source:
        own = self._readers.hints.classes_of(kind.name)
        if len(own) == 1:
            return self._exactly(own[0], source)
        check = ObjectCheck(kind, own)
        self._bail_out_if(
            f"type({source}) not in {self._global(check.accepted)} and not {self._global(check)}({source})"
        )
        return Source(source, None, self._read)

    def _exactly(self, own: type, source: str) -> Source:
        if self._checked.get(source) is not own:
            self._bail_out_if(f"type({source}) is not {self._global(own)}")
            self._checked[source] = own
        return Source(source, own, self._read)

    def _fields(
        self,
        kind: GraphQLObjectType,
        details: FieldDetailsList,
        source: Source,
        hints: Mapping[str, Serialized | Self],
    ) -> str:
        pairs = []
        for key, selected in self._readers.collect(kind, details).items():
            name = selected[0].node.name.value
            # An alias is a value, so that documents which differ in it share their code.
            own = repr(key) if key == name else self._global(key)
            pairs.append(f"{own}: {self._field(kind, selected, source, hints.get(name))}")
        return self._assign(f"{{{', '.join(pairs)}}}")

    def _resolved(self, hint: Resolver, kind: Any, selected: FieldDetailsList, source: Source) -> str:
        """Generate the read of what is known of a resolver's result without a call."""
        if self._selects_parts(hint, kind, selected):
            return self._fields(kind.of_type, selected, source, hint.parts)
        return self._preloaded_value(self._preloaded_of(hint), kind, selected, source)

    def _json_resolved(self, hint: Resolver, kind: Any, selected: FieldDetailsList, source: Source) -> list[Piece]:
        """Generate the JSON of the same."""
        if self._selects_parts(hint, kind, selected):
            return self._json_object(kind.of_type, selected, source, hint.parts)
        preloaded = self._preloaded_of(hint)
        if _is_list(preloaded, kind):
            return [Piece(self._preloaded_list(preloaded, kind, selected, source), is_bytes=True)]
        if preloaded.of is None and is_non_null_type(kind) and is_object_type(kind.of_type):
            value = self._preloaded(preloaded, source)
            return self._json_object(kind.of_type, selected, self._checked_object(kind.of_type, value), {})
        return [Piece(f"dumps({self._preloaded_value(preloaded, kind, selected, source)})", is_bytes=True)]

    def _preloaded_of(self, hint: Resolver) -> Preloaded:
        if hint.preloaded is None or (hint.preloaded.prefetched and not self._readers.prefetched):
            raise _NeedsExecutor
        return hint.preloaded

    def _selects_parts(self, hint: Resolver, kind: Any, selected: FieldDetailsList) -> bool:
        if not hint.parts or not is_non_null_type(kind) or not is_object_type(kind.of_type):
            return False
        fields = self._readers.collect(kind.of_type, selected).values()
        return all(each[0].node.name.value in (*hint.parts, "__typename") for each in fields)

    def _preloaded_value(self, preloaded: Preloaded, kind: Any, details: FieldDetailsList, source: Source) -> str:
        """Generate the read of a preloaded value instead of a call of its resolver."""
        if _is_list(preloaded, kind):
            return self._assign(f"fragment({self._preloaded_list(preloaded, kind, details, source)})")
        value = self._preloaded(preloaded, source)
        if preloaded.of is None:
            return self._value(kind, details, value)
        return self._fields(get_named_type(kind), details, self._exactly(preloaded.of, value), preloaded.fields)

    def _preloaded(self, preloaded: Preloaded, source: Source) -> str:
        value = self._assign(f"{source.name}.{preloaded.name}")  # no column
        self._bail_out_if(f"{value} is None")
        return value

    def _preloaded_list(self, preloaded: Preloaded, kind: Any, details: FieldDetailsList, source: Source) -> str:
        """Generate the JSON of preloaded rows, if there may be any, or of the list that they replace."""
        own, of, readers = get_named_type(kind), preloaded.of, self._readers
        assert of is not None  # noqa: S101  (a list has a class)
        if preloaded.rows is None or not self._takes_rows:
            return self._json_list(own, details, self._preloaded(preloaded, source), of, preloaded.fields)
        left, prefetched = readers.fields_left, readers.prefetched
        found, result = self._assign(f"{source.name}.{preloaded.rows}"), self._assign("None")
        with self._block(f"if {found} is not None:"):
            read = self._json_list(own, details, found, of, preloaded.fields, are_rows=True)
            self._line(f"{result} = {read}")
        count = left - readers.fields_left
        self._count_fields(count)

        def generate() -> Read:
            readers.fields_left, readers.prefetched = readers.fields_left + count, prefetched
            function = _Function(readers, ColumnsRead())
            return function._whole(function._json_list(own, details, "source", of, preloaded.fields)).read

        with self._block("else:"):
            self._line(f"{result} = {self._global(Later(generate))}({self._preloaded(preloaded, source)}, meter)")
        return result

    def _abstract(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Dispatch by the class of a value, if the possible types have classes, or by the tag of an object of JSON."""
        schema, types = self._readers.schema, self._readers.hints.types
        possible = {each.name: each for each in schema.get_possible_types(kind)} if is_abstract_type(kind) else {}
        if self._takes_json:
            return self._tagged(possible, details, source)
        by_class = {
            own: _Function(self._readers, self._read).generate(possible[name], details).read
            for own, name in types.items()
            if name in possible
        }
        if not by_class:
            raise _NeedsExecutor
        return self._assign(f"{self._global(by_class)}[type({source})]({source}, meter)")

    def _field(
        self, kind: GraphQLObjectType, selected: FieldDetailsList, source: Source, own: Serialized | Self | None
    ) -> str:
        self._count_fields()
        name = selected[0].node.name.value
        if name == "__typename":
            return repr(kind.name)
        definition, hint = kind.fields.get(name), own or self._readers.hints.fields.get((kind.name, name))
        if definition is None:
            raise _NeedsExecutor
        if self._takes_json:
            return self._value(definition.type, selected, self._assign(self._at_key(kind, name, source.name)))
        if isinstance(hint, Self):
            if source.is_row:  # a row has no class to check
                self._read.is_known = False
            return self._value(definition.type, selected, source.name)
        if isinstance(hint, Attribute):
            return self._value(definition.type, selected, self._assign(source.attribute(hint.name)))
        if isinstance(hint, Serialized):
            return self._serialized(hint, source, may_be_null=not is_non_null_type(definition.type))
        if isinstance(hint, Resolver):
            return self._resolved(hint, definition.type, selected, source)
        if isinstance(hint, Parsed):
            return self._assign(f"fragment({joined(self._parsed(hint, definition.type, selected, source))})")
        raise _NeedsExecutor

    def _serialized(self, hint: Serialized, source: Source, *, may_be_null: bool) -> str:
        value = self._cached(source, hint.name)
        if hint.serialize is None:
            return value
        write = self._call(hint.serialize, value)
        return self._assign(f"None if {value} is None else {write}" if may_be_null else write)

    def _call(self, serialize: Callable[[Any], Any], value: str) -> str:
        """Generate the call of a function; a dict's lookup becomes a subscript, which is faster."""
        of = getattr(serialize, "__self__", None)
        is_lookup = isinstance(of, dict) and serialize == of.__getitem__
        return f"{self._global(of)}[{value}]" if is_lookup else f"{self._global(serialize)}({value})"

    def _tagged(self, possible: Mapping[str, GraphQLObjectType], details: FieldDetailsList, source: str) -> str:
        result, tag, word = self._assign("None"), self._assign(f"{source}['type']"), "if"
        for each, name in self._readers.hints.tags.items():
            if name in possible:
                with self._block(f"{word} {tag} == {each!r}:"):
                    self._line(f"{result} = {self._object(possible[name], details, source)}")
                word = "elif"
        if word == "if":
            raise _NeedsExecutor
        self._line("else: raise Bailout")
        return result

    def _at_key(self, kind: GraphQLObjectType, name: str, source: str) -> str:
        key = self._readers.hints.keys.get((kind.name, name))
        if key is None:
            raise _NeedsExecutor
        if not isinstance(key, Key):
            return f"{self._global(key)}({source})"
        path = [f"[{each!r}]" for each in key.path]
        if key.optional:
            path[-1] = f".get({key.path[-1]!r})"
        return source + "".join(path)

    def _parsed(self, hint: Parsed, kind: Any, selected: FieldDetailsList, source: Source) -> list[Piece]:
        """Generate the JSON of a value that is stored as JSON: parsed, or around the string of a template."""
        read = _Function(self._readers, self._read, takes_json=True).generate(kind, selected).read
        stored = self._cached(source, hint.stored)
        whole = f"dumps({self._global(read)}({self._global(hint.load)}({stored}), meter))"
        template, text = hint.template, self._name()
        if template is None:
            self._line(f"{text} = {whole}")
            self._count_text(text)
            return [Piece(text, is_bytes=True)]
        first, *others = orjson.dumps(read(template.sample, Meter())).split(MARKER.encode())
        before, after = self._name(), self._name()
        with self._block(f"if {self._cached(source, template.mark)}:"):
            self._line(f"{text} = {stored}[{len(template.prefix)}:-{len(template.suffix)}]")
            again = f" + {text} + ".join(self._global(each) for each in others)
            self._line(
                f"{before} = {self._global(first)}; " + (f"{after} = {again}" if others else f"{text} = {after} = b''")
            )
            self._count_text(text, "string")
        with self._block("else:"):
            self._line(f"{before} = {after} = b''; {text} = {whole}")
            self._count_text(text)
        return [Piece(each, is_bytes=True) for each in (before, text, after)]

    def _count_text(self, text: str, kind: str = "text") -> None:
        with self._block(f"if len({text}) > {LONG}:"):
            self._line(f"meter.add_{kind}({text})")

    def _count_fields(self, count: int = 1) -> None:
        self._readers.fields_left -= count
        if self._readers.fields_left < 0:
            raise _NeedsExecutor

    def _line(self, line: str) -> None:
        self._lines.append(" " * self._depth + line)

    def _bail_out_if(self, condition: str) -> None:
        self._line(f"if {condition}: raise Bailout")

    @contextmanager
    def _block(self, line: str) -> Iterator[None]:
        if self._depth == _MAX_DEPTH:
            raise _NeedsExecutor
        self._line(line)
        self._depth += 1
        self._variables.append({})
        yield
        self._variables.pop()
        self._depth -= 1

    def _cached(self, source: Source, name: str) -> str:
        """Return the variable of an attribute, and assign it if no enclosing block has done so."""
        expression = source.attribute(name)
        for block in self._variables:
            if expression in block:
                return block[expression]
        value = self._variables[-1][expression] = self._assign(expression)
        return value

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def _assign(self, expression: str) -> str:
        name = self._name()
        self._line(f"{name} = {expression}")
        return name

    def _global(self, value: Any) -> str:
        name = f"k{len(self._globals)}"
        self._globals[name] = value
        return name


def _is_list(preloaded: Preloaded, kind: Any) -> bool:
    return preloaded.of is not None and is_list_type(get_nullable_type(kind))
