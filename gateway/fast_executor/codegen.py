"""The source of readers: one generated function for a value and all that is selected of it.

The source consists of our own names, GraphQL names and Python's, as the standard library generates data classes;
values are passed as globals. A call per object, let alone per field, would cost more than its work.
Must not be here: how leaves are read and objects are checked (`readers`).
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import (
    GraphQLBoolean,
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

from gateway.fast_executor.columns import ColumnsRead, Source
from gateway.fast_executor.compiling import Generated, Later, SourceWriter
from gateway.fast_executor.hints import (
    MARKER,
    Attribute,
    Columns,
    Parsed,
    Preloaded,
    Resolver,
    Self,
    Serialized,
)
from gateway.fast_executor.json_readers import JsonReader, ReaderContext, after_first
from gateway.fast_executor.meter import LONG, Meter
from gateway.fast_executor.pieces import Piece, as_bytes
from gateway.fast_executor.readers import INVALID, Bailout, NeedsExecutor, ObjectCheck, leaf_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql.execution.collect_fields import FieldDetails

    from gateway.fast_executor.readers import Read

    FieldDetailsList = list[FieldDetails]

_AS_TEXT: Final = {GraphQLInt: "{}", GraphQLBoolean: "'true' if {} else 'false'"}
_COLUMN_INDEXES: Final = re.compile(r"\[<(\d+):(\w+)>\]")


class Readers(ReaderContext):
    """Generates the readers of one operation."""

    prefetched = False

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
        except NeedsExecutor:
            return None


class _Function(SourceWriter):
    """One function while it is generated, line by line; each value is assigned to a variable of its own."""

    def __init__(self, readers: Readers, read: ColumnsRead, *, takes_rows: bool = False) -> None:
        super().__init__(
            {"Bailout": Bailout, **{each.__name__: each for each in (orjson.Fragment, orjson.dumps, orjson.loads)}}
        )
        self._readers = readers
        self._read = read
        self._takes_rows = takes_rows
        self._out = ""  # the variable with the pieces of an object or list that has blocks, including nested ones
        self._pieces: list[Piece] = []  # pieces not yet added to it
        self._checked: dict[str, type] = {}  # the classes of variables whose class was checked

    def generate(self, kind: Any, details: FieldDetailsList) -> Generated:
        """Generate the function.

        Errors: NeedsExecutor.
        """
        return self._whole(self._value(kind, details, "source"))

    def _whole(self, result: str) -> Generated:
        if self._takes_rows:
            columns = {str(id(own)): names for own, names in self._read.in_order().items()}
            self.lines = [
                _COLUMN_INDEXES.sub(lambda found: f"[{columns[found[1]].index(found[2])}]", each) for each in self.lines
            ]
        return self.function(result)

    def _value(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Generate the read of a value, and return its expression."""
        if is_non_null_type(kind):
            return self._non_null(kind.of_type, details, source)
        result = self.assign("None")
        with self.block(f"if {source} is not None:"):
            self.line(f"{result} = {self._non_null(kind, details, source)}")
        return result

    def _non_null(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Generate the read of a value that is not null."""
        if is_list_type(kind):
            return self._list(kind.of_type, details, source)
        if is_leaf_type(kind):
            return self._leaf(kind, source)
        if is_object_type(kind):
            return self._object(kind, details, source)
        return self._abstract(kind, details, source)

    def _list(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        self.bail_out_if(f"type({source}) is not list and type({source}) is not tuple")
        own = self._classes_of(kind.of_type) if is_non_null_type(kind) else []
        if len(own) == 1:
            return self._json(partial(self._write_list, kind.of_type, details, source, own[0], {}))
        is_counted = is_non_null_type(kind) and is_composite_type(kind.of_type)
        begun = self._begun(source) if is_counted else f"meter.iterate({source})"
        result, item = self.assign("[]"), self.name()
        with self.block(f"for {item} in {begun}:"):
            self.line(f"{result}.append({self._value(kind, details, item)})")
        return result

    def _json(self, write: Callable[[], None]) -> str:
        """Generate a value that is written as JSON: with a dict per object, a page of 100 costs a seventh more."""
        return self.assign(f"Fragment({self._json_text(write)})")

    def _json_text(self, write: Callable[[], None]) -> str:
        """Generate an object or a list of objects as JSON, whose pieces are joined once, at the end."""
        outside = self._out, self._pieces
        self._out, self._pieces = "", []
        before = self.assign("meter.bytes")
        write()
        if self._out:
            self._flush()
        text = self.assign(f"b''.join({self._out or f'({as_bytes(self._pieces)},)'})")
        self._out, self._pieces = outside
        self.line(f"if len({text}) > {LONG}: meter.replace_text({before}, {text})")
        return text

    def _flush(self) -> None:
        """Write the pieces so far into a list, before a block is written; there always are some in front of it."""
        self._out = self._out or self.assign("[]")
        if self._pieces:
            self.line(f"{self._out} += ({as_bytes(self._pieces)},)")
            self._pieces = []

    def _write(self, piece: str) -> None:
        self._pieces.append(Piece(piece))

    def _write_bytes(self, expression: str) -> None:
        self._pieces.append(Piece(expression, is_bytes=True))

    def _write_list(
        self,
        kind: GraphQLObjectType,
        details: FieldDetailsList,
        source: str,
        own: type,
        hints: Mapping[str, Serialized | Self],
        *,
        are_rows: bool = False,
    ) -> None:
        """Write a list of objects."""
        self._write("[")
        self._flush()
        comma, item = self.assign("b''"), self.name()
        with self.block(f"for {item} in {self._begun(source)}:"):
            of_item = Source(item, own, self._read, is_row=True) if are_rows else self._exactly(own, item)
            self._write_bytes(comma)
            self._write_object(kind, details, of_item, hints)
            self._flush()
            self.line(f"{comma} = b','")
        self._write("]")

    def _begun(self, source: str) -> str:
        """Count the objects of a list, and return the iterable, without a call: many lists are short."""
        self.line(f"meter.objects += len({source})")
        return f"{source} if meter.objects <= meter.unchecked else meter.begin({source})"

    def _write_object(
        self,
        kind: GraphQLObjectType,
        details: FieldDetailsList,
        source: Source,
        hints: Mapping[str, Serialized | Self],
    ) -> None:
        """Write an object."""
        separator = "{{"
        for key, selected in self._readers.collect(kind, details).items():
            name = selected[0].node.name.value
            # An alias is a value, so that documents which differ in it share their code.
            written = key if key == name else f"{{{self.constant(key)}}}"
            self._write(f'{separator}"{written}":')
            self._write_field(kind, selected, source, hints.get(name))
            separator = ","
        self._write("}}" if separator == "," else "{{}}")

    def _write_field(
        self, kind: GraphQLObjectType, selected: FieldDetailsList, source: Source, own: Serialized | Self | None
    ) -> None:
        """Write the value of a field.

        Errors: NeedsExecutor, if it has no hint.
        """
        self._readers.count_fields()
        name = selected[0].node.name.value
        if name == "__typename":
            return self._write(f'"{kind.name}"')
        definition, hint = kind.fields.get(name), own or self._readers.hints.fields.get((kind.name, name))
        if definition is None:
            raise NeedsExecutor
        if isinstance(hint, Self):
            return self._write_self(definition.type, selected, source)
        if isinstance(hint, Attribute):
            return self._write_value(definition.type, selected, self.assign(source.attribute(hint.name)))
        if isinstance(hint, Serialized):
            return self._write_serialized(hint, source, may_be_null=not is_non_null_type(definition.type))
        if isinstance(hint, Parsed):
            return self._pieces.extend(self._parsed(hint, definition.type, selected, source))
        if isinstance(hint, Resolver):
            return self._write_resolved(hint, definition.type, selected, source)
        raise NeedsExecutor

    def _write_self(self, kind: Any, selected: FieldDetailsList, source: Source) -> None:
        if is_non_null_type(kind) and self._classes_of(kind.of_type) == [source.own]:
            return self._write_object(kind.of_type, selected, source, {})
        if source.is_row:  # a row has no class to check
            self._read.is_known = False
        return self._write_value(kind, selected, source.name)

    def _write_value(self, kind: Any, selected: FieldDetailsList, value: str) -> None:
        """Write a value of the schema."""
        inner = get_nullable_type(kind)
        if is_non_null_type(kind):
            classes = self._classes_of(inner)
            if len(classes) == 1:
                return self._write_object(inner, selected, self._exactly(classes[0], value), {})
            if inner in _AS_TEXT:
                return self._write(f"{{{self.assign(_AS_TEXT[inner].format(self._leaf(inner, value)))}}}")
        return self._write_bytes(f"dumps({self._value(kind, selected, value)})")

    def _write_serialized(self, hint: Serialized, source: Source, *, may_be_null: bool) -> None:
        value, is_json = self._cached(source, hint.name), hint.serialize is orjson.Fragment
        text = value if hint.serialize is None or is_json else self._call(hint.serialize, value)
        if not hint.plain and not is_json:
            if may_be_null and text != value:
                text = f"None if {value} is None else {text}"
            return self._write_bytes(f"dumps({text})")
        quote = '"' if hint.plain else ""
        if may_be_null:
            either = self.assign(f"'null' if {value} is None else '{quote}' + {text} + '{quote}'")
            return self._write(f"{{{either}}}")
        return self._write(f"{quote}{{{text if text == value else self.assign(text)}}}{quote}")

    def _classes_of(self, kind: Any) -> list[type]:
        return self._readers.hints.classes_of(kind.name) if is_object_type(kind) else []

    def _leaf(self, kind: Any, source: str) -> str:
        invalid = INVALID.get(kind)
        if invalid is None:
            return self.assign(f"{self.constant(leaf_reader(kind))}({source})")
        self.bail_out_if(invalid.format(source))
        if kind is GraphQLString:
            self._count_text(source)
        return source

    def _object(self, kind: GraphQLObjectType, details: FieldDetailsList, source: str) -> str:
        return self._json(partial(self._write_object, kind, details, self._checked_object(kind, source), {}))

    def _checked_object(self, kind: GraphQLObjectType, source: str) -> Source:
        own = self._readers.hints.classes_of(kind.name)
        if len(own) == 1:
            return self._exactly(own[0], source)
        check = ObjectCheck(kind, own)
        self.bail_out_if(
            f"type({source}) not in {self.constant(check.accepted)} and not {self.constant(check)}({source})"
        )
        return Source(source, None, self._read)

    def _exactly(self, own: type, source: str) -> Source:
        if self._checked.get(source) is not own:
            self.bail_out_if(f"type({source}) is not {self.constant(own)}")
            self._checked[source] = own
        return Source(source, own, self._read)

    def _write_resolved(self, hint: Resolver, kind: Any, selected: FieldDetailsList, source: Source) -> None:
        """Write the parts of a resolver's result that are known without a call."""
        if self._selects_parts(hint, kind, selected):
            return self._write_object(kind.of_type, selected, source, hint.parts)
        preloaded = self._preloaded_of(hint)
        if preloaded.of is not None and is_list_type(get_nullable_type(kind)):
            return self._write_preloaded_list(preloaded, kind, selected, source)
        own, value = get_nullable_type(kind), self._preloaded(preloaded, source)
        if preloaded.of is not None:
            return self._write_object(own, selected, self._exactly(preloaded.of, value), preloaded.fields)
        if not is_object_type(own):
            return self._write_bytes(f"dumps({self._value(kind, selected, value)})")
        if is_non_null_type(kind):
            return self._write_object(own, selected, self._checked_object(own, value), {})
        self._flush()
        with self.block(f"if {value} is not None:"):
            self._write_object(own, selected, self._checked_object(own, value), {})
            self._flush()
        self.line(f"else: {self._out}.append(b'null')")
        return None

    def _preloaded_of(self, hint: Resolver) -> Preloaded:
        if hint.preloaded is None or (hint.preloaded.prefetched and not self._readers.prefetched):
            raise NeedsExecutor
        return hint.preloaded

    def _selects_parts(self, hint: Resolver, kind: Any, selected: FieldDetailsList) -> bool:
        if not hint.parts or not is_non_null_type(kind) or not is_object_type(kind.of_type):
            return False
        fields = self._readers.collect(kind.of_type, selected).values()
        return all(each[0].node.name.value in (*hint.parts, "__typename") for each in fields)

    def _preloaded(self, preloaded: Preloaded, source: Source) -> str:
        value = self.assign(f"{source.name}.{preloaded.name}")  # no column
        if not preloaded.prefetched:  # otherwise the attribute is missing where the resolver has to be called
            self.bail_out_if(f"{value} is None")
        return value

    def _write_preloaded_list(self, preloaded: Preloaded, kind: Any, details: FieldDetailsList, source: Source) -> None:
        """Write preloaded rows, if there may be any, or the list that they replace."""
        own, of, readers = get_named_type(kind), preloaded.of, self._readers
        assert of is not None  # noqa: S101  (a list has a class)
        if preloaded.rows is None or not self._takes_rows:
            return self._write_list(own, details, self._preloaded(preloaded, source), of, preloaded.fields)
        left, prefetched = readers.fields_left, readers.prefetched
        found = self.assign(f"{source.name}.{preloaded.rows}")
        self._flush()
        with self.block(f"if {found} is not None:"):
            self._write_list(own, details, found, of, preloaded.fields, are_rows=True)
            self._flush()
        count = left - readers.fields_left
        readers.count_fields(count)

        def generate() -> Read:
            readers.fields_left, readers.prefetched = readers.fields_left + count, prefetched
            function = _Function(readers, ColumnsRead())
            write = partial(function._write_list, own, details, "source", of, preloaded.fields)
            return function._whole(function._json_text(write)).read

        with self.block("else:"):
            read = self.constant(Later(generate))
            self.line(f"{self._out}.append({read}({self._preloaded(preloaded, source)}, meter))")
        return None

    def _abstract(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Dispatch by the class of a value, if the possible types have classes."""
        schema, types = self._readers.schema, self._readers.hints.types
        possible = {each.name: each for each in schema.get_possible_types(kind)} if is_abstract_type(kind) else {}
        by_class = {
            own: _Function(self._readers, self._read).generate(possible[name], details).read
            for own, name in types.items()
            if name in possible
        }
        if not by_class:
            raise NeedsExecutor
        return self.assign(f"{self.constant(by_class)}[type({source})]({source}, meter)")

    def _call(self, serialize: Callable[[Any], Any], value: str) -> str:
        """Generate the call of a function; a dict's lookup becomes a subscript, which is faster."""
        of = getattr(serialize, "__self__", None)
        is_lookup = isinstance(of, dict) and serialize == of.__getitem__
        return f"{self.constant(of)}[{value}]" if is_lookup else f"{self.constant(serialize)}({value})"

    def _parsed(self, hint: Parsed, kind: Any, selected: FieldDetailsList, source: Source) -> list[Piece]:
        """Generate the JSON of a value that is stored as JSON: parsed, or around the string of a template."""
        read = JsonReader(self._readers).generate(kind, selected).read
        stored = self._cached(source, hint.stored)
        value = f"loads({stored}) if len({stored}) <= {hint.short} else {self.constant(hint.load)}({stored})"
        parsed = f"dumps({self.constant(read)}({value}, meter))"
        template, text = hint.template, self.name()
        if template is None:
            self.line(f"{text} = {parsed}")
            self._count_text(text, "add_json")
            return [Piece(text, is_bytes=True)]
        first, *others = pieces = orjson.dumps(read(template.sample, Meter())).split(MARKER.encode())
        before, after, mark = self.name(), self.name(), self._cached(source, template.mark)
        if isinstance(template.sample, list):
            parsed = f"{self.constant(after_first(hint, template, pieces, read))}({stored}, {mark}, meter)"
        with self.block(f"if {mark} == 1:"):
            self.line(f"{text} = {stored}[{len(template.prefix)}:-{len(template.suffix)}]")
            again = f" + {text} + ".join(self.constant(each) for each in others)
            self.line(
                f"{before} = {self.constant(first)}; " + (f"{after} = {again}" if others else f"{text} = {after} = b''")
            )
        with self.block("else:"):
            self.line(f"{before} = {after} = b''; {text} = {parsed}")
        self._count_text(text, "add_json")
        return [Piece(each, is_bytes=True) for each in (before, text, after)]

    def _count_text(self, text: str, count: str = "add_text") -> None:
        with self.block(f"if len({text}) > {LONG}:"):
            self.line(f"meter.{count}({text})")

    def _cached(self, source: Source, name: str) -> str:
        """Return the variable of an attribute, and assign it if no enclosing block has done so."""
        expression = source.attribute(name)
        for block in self.variables:
            if expression in block:
                return block[expression]
        value = self.variables[-1][expression] = self.assign(expression)
        return value
