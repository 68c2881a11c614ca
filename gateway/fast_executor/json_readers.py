"""Readers of stored JSON: one generated function for a parsed value and all that is selected of it.

What is stored was validated when it was written (`Parsed`), so the types of its values are not checked again.
Must not be here: JSON that is not parsed, and how its pieces are joined (`codegen`).
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import get_nullable_type, is_abstract_type, is_composite_type, is_leaf_type, is_list_type, is_non_null_type

from gateway.fast_executor.compiling import Generated, SourceWriter
from gateway.fast_executor.hints import Key
from gateway.fast_executor.readers import INVALID, Bailout, NeedsExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLObjectType, GraphQLSchema
    from graphql.execution.collect_fields import FieldDetails

    from gateway.fast_executor.hints import FieldHints, Parsed, Template
    from gateway.fast_executor.meter import Meter
    from gateway.fast_executor.readers import Read

    FieldDetailsList = list[FieldDetails]
    Collect = Callable[[GraphQLObjectType, FieldDetailsList], dict[str, FieldDetailsList]]

MAX_FIELDS: Final = 1_000  # of one operation; generating a reader with so many takes 50 ms
_TAG: Final = Key(("type",))


class ReaderContext:
    """What the readers of one operation have in common, and how many fields they may still read."""

    def __init__(self, schema: GraphQLSchema, hints: FieldHints, collect: Collect) -> None:
        self.schema = schema
        self.hints = hints
        self.collect = collect
        self.fields_left = MAX_FIELDS

    def count_fields(self, count: int = 1) -> None:
        """Count fields of a reader.

        Errors: NeedsExecutor, if they are too many.
        """
        self.fields_left -= count
        if self.fields_left < 0:
            raise NeedsExecutor


class JsonReader(SourceWriter):
    """One reader while it is generated."""

    def __init__(self, context: ReaderContext) -> None:
        super().__init__({"Bailout": Bailout})
        self._context = context
        self._keys: dict[str, str] = {}  # the global names of keys
        self._objects = 0  # the maximum number in an item of the innermost list, without nested lists

    def generate(self, kind: Any, details: FieldDetailsList) -> Generated:
        """Generate the reader.

        Errors: NeedsExecutor.
        """
        value = self._value(kind, details, "source")
        if self._objects:
            self.line(f"meter.most += {self._objects}")
        return self.function(value)

    def _value(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Generate the read of a value, and return its expression."""
        own = get_nullable_type(kind)
        if is_leaf_type(own):
            if own not in INVALID:
                raise NeedsExecutor
            return source
        source = source if source.isidentifier() else self.assign(source)
        read = self._list if is_list_type(own) else self._tagged if is_abstract_type(own) else self._object
        if is_non_null_type(kind):
            return read(own, details, source)
        result = self.assign("None")
        with self.block(f"if {source} is not None:"):
            self.line(f"{result} = {read(own, details, source)}")
        return result

    def _list(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        outside, self._objects, item, result = self._objects, 0, self.name(), self.assign("[]")
        with self.block(f"for {item} in {source}:"):
            self.line(f"{result}.append({self._value(kind.of_type, details, item)})")
        if is_non_null_type(kind.of_type) and is_composite_type(kind.of_type.of_type):
            self.line(f"meter.objects += len({source}); meter.most += len({source}) * {self._objects}")
        self._objects = outside
        return result

    def _tagged(self, kind: Any, details: FieldDetailsList, source: str) -> str:
        """Generate the choice of an object's type by its tag."""
        possible = {each.name: each for each in self._context.schema.get_possible_types(kind)}
        result, word = self.name(), "if"
        name = self.assign(f"{source}[{self._key('type')}]")
        for tag, own in self._context.hints.tags.items():
            if own in possible:
                with self.block(f"{word} {name} == {tag!r}:"):
                    self.line(f"{result} = {self._object(possible[own], details, source, tag)}")
                word = "elif"
        if word == "if":
            raise NeedsExecutor
        self.line("else: raise Bailout")
        return result

    def _object(self, kind: GraphQLObjectType, details: FieldDetailsList, source: str, tag: str | None = None) -> str:
        self._objects += 1
        fields, known = self._context.collect(kind, details), self._context.hints.keys
        hints = {key: known.get((kind.name, each[0].node.name.value)) for key, each in fields.items()}
        # Objects within this one that have the values of several fields.
        within = Counter(hint.path[:-1] for hint in hints.values() if isinstance(hint, Key) and len(hint.path) > 1)
        names = {path: self.assign(self._at(path, source)) for path, count in within.items() if count > 1}
        pairs = []
        for key, each in fields.items():
            self._context.count_fields()
            name, hint = each[0].node.name.value, hints[key]
            if name == "__typename" or (hint == _TAG and tag is not None):
                value = repr(kind.name if name == "__typename" else tag)
            elif isinstance(hint, Key):
                value = self._at_key(hint, names.get(hint.path[:-1]) or self._at(hint.path[:-1], source))
                value = value if hint.each else self._value(kind.fields[name].type, each, value)
            elif hint is not None:
                value = f"{self.constant(hint)}({source})"
            else:
                raise NeedsExecutor
            pairs.append(f"{key!r}: {value}")
        return f"{{{', '.join(pairs)}}}"

    def _at_key(self, hint: Key, source: str) -> str:
        key = self._key(hint.path[-1])
        found = f"{source}.get({key})" if hint.optional else f"{source}[{key}]"
        if hint.otherwise is not None:
            found = f"({found} or {hint.otherwise!r})"
        if hint.each is None:
            return found
        result, item = self.assign("[]"), self.name()
        self.line(f"for {item} in {found}: {result}.append({item}[{self._key(hint.each)}])")
        return result

    def _at(self, path: tuple[str, ...], source: str) -> str:
        return source + "".join(f"[{self._key(each)}]" for each in path)

    def _key(self, name: str) -> str:
        if name not in self._keys:
            self._keys[name] = self.constant(_key_of(name))
        return self._keys[name]


@cache
def _key_of(name: str) -> str:
    """Return the string that orjson reuses for a key: a dict finds an identical object faster than an equal one."""
    [key] = orjson.loads(orjson.dumps({name: None}))
    return str(key)


def after_first(
    hint: Parsed, template: Template, pieces: list[bytes], read: Read
) -> Callable[[Any, int | None, Meter], bytes]:
    """Make the reader of a list whose first item may be that of the template; the pieces are what that becomes."""
    load, short = hint.load, hint.short
    around = [*pieces[:-1], pieces[-1].removesuffix(b"]") + b","]
    objects = sum(each.count(b"{") for each in around)
    begin, length = len(template.prefix), len(template.suffix)

    def whole(stored: Any, mark: int | None, meter: Meter) -> bytes:
        if not mark:
            return orjson.dumps(read(load(stored), meter))
        meter.most += objects
        end = begin + mark - len(b'""')
        left = b"[" + stored[end + length :]
        others = orjson.dumps(read(orjson.loads(left) if len(left) <= short else load(left), meter))
        text: bytes = stored[begin:end]
        return text.join(around) + others[1:]

    return whole
