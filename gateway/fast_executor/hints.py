"""How the owner of a schema says that fields are read, where that is simpler than to call their resolvers.

A way is a promise: what it reads is what the field's own resolver would give, and reading it twice does no harm.
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
class Written:
    """The field's final value is an attribute, or what a function makes of it: an enum's word, stored JSON as it lies.

    A null is written as one, and never comes where the field has none; the function raises on what it cannot write.
    What is `plain` is a string that stands in JSON as it is: a word, an id, a time.
    """

    name: str
    write: Callable[[Any], Any] | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Sampled:
    """The attribute nearly always looks like one sample, in which a single string is another each time.

    It is what `load` makes of `stored`, the attribute that holds the same as JSON in UTF-8. One that starts with
    `begin`, which opens a string, and ends with `end`, which closes the same one, looks like the sample. MARKER stands
    for the string in the sample.
    """

    load: Callable[[bytes], Any]
    sample: Any
    stored: str
    begin: bytes
    end: bytes


Places = Mapping[type, tuple[str, ...]]


@dataclass(slots=True)  # not frozen: some are made in each execution, which would take three times as long
class Child:
    """A field that will be asked of what a resolver gives, with its arguments.

    `places` are those of tuples that will be read of its value, by their class, each in the order in which rows hold
    them that may stand for such tuples (`Known.rows`); None where only whole tuples will do.
    """

    name: str
    arguments: Mapping[str, Any]
    places: Places | None = None


Children = Callable[[], Sequence[Child]]


@dataclass(frozen=True, slots=True)
class Known:
    """Where an object holds what a field's resolver would give: an attribute, which is None where it does not.

    It may be another value in place of the object that a resolver would make of it, or a list of such: all of the class
    `of`, with ways of their own for the fields of those. In place of such a list another attribute, `rows`, may hold
    rows that stand for its tuples; else it is None.
    """

    name: str
    of: type | None = None
    fields: Mapping[str, Written | Itself] = field(default_factory=dict)
    rows: str | None = None


@dataclass(frozen=True, slots=True)
class Itself:
    """The field is what stands for its object."""


@dataclass(frozen=True, slots=True)
class Direct:
    """The field has a resolver, which is called without its framework: with object, context and arguments.

    One that wants to know its children is also given what tells them: all, or none where only graphql-core can.
    """

    resolve: Callable[..., Any]
    wants_children: bool = False
    known: Known | None = None


Way = Attribute | Written | Sampled | Direct
MARKER: Final = "\x7f\ue000"  # no text of a schema holds it


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways of a schema, by type and field, and the types by the classes of their values.

    A value of exactly such a class is an object of that type, so nobody asks `resolve_type` or `is_type_of`; of a type
    that has such classes, values of others are left to graphql-core.
    """

    fields: Mapping[tuple[str, str], Way] = field(default_factory=dict)
    types: Mapping[type, str] = field(default_factory=dict)

    def classes_of(self, name: str) -> list[type]:
        """Name the classes of a type's values."""
        return [own for own, of in self.types.items() if of == name]
