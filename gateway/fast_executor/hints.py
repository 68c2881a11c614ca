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
    """The serialized value is an attribute, or what a function makes of it: an enum's name, JSON as it is stored.

    Null stays null, and does not occur where the field is non-null; the function raises on what it cannot serialize.
    A `plain` value is a string that needs no escapes in JSON: an enum's name, an ID, a time.
    """

    name: str
    serialize: Callable[[Any], Any] | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """Nearly all values of the attribute equal one sample but for a single string.

    The value is what `load` makes of the attribute `stored`, which is JSON in UTF-8. Values that start with `prefix`,
    which opens a string, and end with `suffix`, which closes the same string, equal the sample, in which MARKER takes
    the place of that string.
    """

    load: Callable[[bytes], Any]
    sample: Any
    stored: str
    prefix: bytes
    suffix: bytes


Columns = Mapping[type, tuple[str, ...]]


@dataclass(slots=True)  # not frozen: some are made in each execution, which would take three times as long
class SelectedField:
    """A field that will be selected of a resolver's result, with its arguments.

    `columns` are the fields of named tuples that its value is read from, by class, in the order that rows which
    replace such tuples must have (`Preloaded.rows`); None if only whole tuples will do.
    """

    name: str
    arguments: Mapping[str, Any]
    columns: Columns | None = None


LookAhead = Callable[[], Sequence[SelectedField]]


@dataclass(frozen=True, slots=True)
class Preloaded:
    """The attribute that holds the result of a field's resolver; None if the resolver has to be called.

    It may hold the items that the resolver would wrap, one or a list, all of the class `of`, with hints of their own
    in `fields`. The attribute `rows` may hold rows that replace the named tuples of such a list; else it is None.
    """

    name: str
    of: type | None = None
    fields: Mapping[str, Serialized | Self] = field(default_factory=dict)
    rows: str | None = None


@dataclass(frozen=True, slots=True)
class Self:
    """The field is the item that replaces its object (`Preloaded`)."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """The field has a resolver, called without its framework: with the object, the context and the arguments.

    One that wants a look-ahead also gets a function that lists the selected fields of its result; the list is empty
    if only graphql-core can coerce their arguments.
    """

    resolve: Callable[..., Any]
    wants_look_ahead: bool = False
    preloaded: Preloaded | None = None


FieldHint = Attribute | Serialized | Template | Resolver
MARKER: Final = "\x7f\ue000"  # occurs in no text of a schema


@dataclass(frozen=True, slots=True)
class FieldHints:
    """The hints of a schema by type and field, and its object types by the classes of their values.

    A value of exactly such a class has that type, so neither `resolve_type` nor `is_type_of` is called; of a type with
    such classes, values of other classes are left to graphql-core.
    """

    fields: Mapping[tuple[str, str], FieldHint] = field(default_factory=dict)
    types: Mapping[type, str] = field(default_factory=dict)

    def classes_of(self, name: str) -> list[type]:
        """List the classes of a type's values."""
        return [own for own, of in self.types.items() if of == name]
