"""Hints by the owner of a schema: how to read a field more simply than by its resolver.

A hint is a promise: it reads the same value as the field's resolver, and reading it twice has no side effect.
Must not be here: reading itself (`readers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Attribute:
    """The field is an attribute of its object."""

    name: str


@dataclass(frozen=True, slots=True)
class Serialized:
    """The serialized value is an attribute, or the result of a function on it: an enum's name, stored JSON.

    Null stays null, and does not occur where the field is non-null; the function raises on what it cannot serialize.
    A `plain` value is a string that needs no escapes in JSON: an enum's name, an ID, a time.
    """

    name: str
    serialize: Callable[[Any], Any] | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """Values whose attribute `mark` is 1 equal the sample except for one string, which is MARKER in the sample.

    They are stored as `prefix`, the string as orjson writes it but without quotation marks, and `suffix`. If the sample
    is a list of one item, a list of several that begins with such an item has the length of that string as its mark,
    with quotation marks. Zero or None is any other value.
    """

    mark: str
    sample: Any
    prefix: bytes
    suffix: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """The value is `load` of the attribute `stored`: JSON, whose objects are read by `FieldHints.keys`.

    Its values have the types of their fields. Texts up to the length `short` are parsed by orjson alone.
    """

    load: Callable[[Any], Any]
    stored: str
    template: Template | None = None
    short: int = -1


@dataclass(frozen=True, slots=True)
class Key:
    """The path of a field's value in a JSON object; its last key may be missing if it is optional.

    `otherwise` replaces a missing, null or empty value. With `each` the value is a list of the items' values at that
    key.
    """

    path: tuple[str, ...]
    optional: bool = False
    otherwise: str | tuple[()] | None = None
    each: str | None = None


Columns = Mapping[type, tuple[str, ...]]


@dataclass(slots=True)  # not frozen: some are made in each execution, which would take three times as long
class SelectedField:
    """A field that will be selected of a resolver's result, with its arguments.

    `columns` are the fields of named tuples that its value is read from, by class, in the order that rows which
    replace such tuples must have (`Preloaded.rows`); None if only whole tuples will do. `within` are the names of the
    fields that are selected of its value, where that is an object.
    """

    name: str
    arguments: Mapping[str, Any]
    columns: Columns | None = None
    within: frozenset[str] = frozenset()


LookAhead = Callable[[], Sequence[SelectedField]]


@dataclass(frozen=True, slots=True)
class Preloaded:
    """The attribute that holds the result of a field's resolver; None if the resolver has to be called.

    It may hold the item or list of items that the resolver would wrap, all of the class `of`, whose hints are in
    `fields`. The attribute `rows` may hold rows that replace the named tuples of such a list; else it is None. A
    `prefetched` one is there only in the result of a resolver with a look-ahead: it is missing where its own resolver
    has to be called, and may hold None.
    """

    name: str
    of: type | None = None
    fields: Mapping[str, Serialized | Self] = field(default_factory=dict)
    rows: str | None = None
    prefetched: bool = False


@dataclass(frozen=True, slots=True)
class Self:
    """The field is the item that replaces its object (`Preloaded`)."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """The field has a resolver, called without its framework: with the object, the context and the arguments.

    One that wants a look-ahead also gets a function that lists the selected fields of its result, or of the objects at
    the paths `below` it; the list is empty if only graphql-core can coerce their arguments. One that wants its key also
    gets the field's response key, and one that wants columns those that its result is read from
    (`SelectedField.columns`). `parts` are fields of the result that its object has too: if no others are selected,
    the resolver is not called.
    """

    resolve: Callable[..., Any]
    wants_look_ahead: bool = False
    preloaded: Preloaded | None = None
    below: Sequence[tuple[str, ...]] = ((),)
    parts: Mapping[str, Serialized | Self] = field(default_factory=dict)
    wants_key: bool = False
    wants_columns: bool = False


FieldHint = Attribute | Serialized | Parsed | Resolver
MARKER: Final = "\x7f\ue000"  # occurs in no text of a schema


@dataclass(frozen=True, slots=True)
class FieldHints:
    """The hints of a schema by type and field, and its object types by the classes of their values.

    A value of exactly such a class has that type, so neither `resolve_type` nor `is_type_of` is called; of a type with
    such classes, values of other classes are left to graphql-core. Objects of JSON (`Parsed`) have the type that `tags`
    names by their key "type", where the schema leaves a choice, and their fields are found by keys or functions.
    """

    fields: Mapping[tuple[str, str], FieldHint] = field(default_factory=dict)
    types: Mapping[type, str] = field(default_factory=dict)
    keys: Mapping[tuple[str, str], Key | Callable[[Any], Any]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def classes_of(self, name: str) -> list[type]:
        """List the classes of a type's values."""
        return [own for own, of in self.types.items() if of == name]
