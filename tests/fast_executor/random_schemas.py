"""Random schemas, with hints for some fields that hold for the values of `values`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    Undefined,
)
from hypothesis import strategies as st

from gateway.fast_executor.hints import (
    MARKER,
    Attribute,
    FieldHint,
    FieldHints,
    Key,
    Parsed,
    Preloaded,
    Resolver,
    SelectedField,
    Serialized,
    Template,
)
from tests.fast_executor.random_values import NOTE_BEGIN, NOTE_END, Note, Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import DrawFn

_WRAPS: Final = ("", "N", "L", "NL", "LN", "NLN", "LL", "NLNLN", "LNL", "LLN")  # applied to a type from left to right
_HOWS: Final = (
    "default",
    "plain",
    "attribute",
    "resolver",
    "direct",
    "direct with look_ahead",
    "later",
    "direct later",
)
_WORDS: Final = {"r": "RED", "g": "GREEN", "b": "BLUE"}


def _write_odd(value: Any) -> Any:
    if value == "boom":
        raise ValueError("boom is not to be written")
    if value == "none" or value is True:
        return None if value == "none" else Undefined
    return value if isinstance(value, str | int | float | list) else type(value).__name__


def _take_odd(value: Any) -> Any:
    if value == "boom":
        raise ValueError("boom is not to be taken")
    return Undefined if value is True else [value]


COLOUR: Final = GraphQLEnumType("Colour", {"RED": 1, "GREEN": "green", "BLUE": ("b",)})
ODD: Final = GraphQLScalarType("Odd", coerce_output_value=_write_odd, coerce_input_value=_take_odd)
IN: Final[GraphQLInputObjectType] = GraphQLInputObjectType(
    "In",
    lambda: {
        "a": GraphQLInputField(GraphQLInt, default_value=3),
        "b": GraphQLInputField(GraphQLList(GraphQLNonNull(GraphQLString))),
        "c": GraphQLInputField(IN, out_name="within"),
        "d": GraphQLInputField(GraphQLNonNull(COLOUR), default_value=1),
        "e": GraphQLInputField(ODD),
        "f": GraphQLInputField(GraphQLNonNull(GraphQLFloat)),
    },
)
OUT: Final = GraphQLInputObjectType(
    "Out",
    {"x": GraphQLInputField(GraphQLID), "y": GraphQLInputField(GraphQLBoolean)},
    out_type=lambda given: tuple(given.items()),
)
PICK: Final = GraphQLInputObjectType(
    "Pick", {"x": GraphQLInputField(GraphQLInt), "y": GraphQLInputField(GraphQLString)}, is_one_of=True
)
ARGUMENTS: Final = {
    "i": GraphQLArgument(GraphQLInt),
    "n": GraphQLArgument(GraphQLNonNull(GraphQLInt)),
    "s": GraphQLArgument(GraphQLString, default_value="unsaid"),
    "e": GraphQLArgument(COLOUR, default_value=1),
    "l": GraphQLArgument(GraphQLList(GraphQLNonNull(GraphQLInt))),
    "b": GraphQLArgument(GraphQLNonNull(GraphQLBoolean), default_value=True),
    "o": GraphQLArgument(IN),
    "p": GraphQLArgument(PICK),
    "d": GraphQLArgument(GraphQLID, out_name="named"),
    "u": GraphQLArgument(OUT),
    "q": GraphQLArgument(ODD),
    "m": GraphQLArgument(GraphQLList(GraphQLNonNull(GraphQLList(COLOUR)))),
    "f": GraphQLArgument(GraphQLFloat, default_value=0.5),
}
NOTE: Final[GraphQLObjectType] = GraphQLObjectType(
    "Note",
    lambda: {
        "sort": GraphQLField(GraphQLNonNull(GraphQLString), resolve=_reading("sort")),
        "text": GraphQLField(GraphQLNonNull(GraphQLString), resolve=_reading("text")),
        "more": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(NOTE))), resolve=_reading("more")),
    },
)
_LEAVES: Final[dict[str, Any]] = {
    **{each.name: each for each in (GraphQLString, GraphQLInt, GraphQLFloat, GraphQLID, GraphQLBoolean, COLOUR, ODD)},
}


@dataclass(frozen=True)
class Drawn:
    """One field as it was drawn."""

    name: str
    named: str
    wrap: str
    how: str
    arguments: tuple[str, ...]


@dataclass(repr=False)
class World:
    """A schema, its hints, and the classes of its values."""

    schema: GraphQLSchema
    hints: FieldHints
    is_async: bool
    hows: dict[tuple[str, str], str]
    classes: dict[str, type[Thing]]
    others: dict[str, type[Thing]] = field(default_factory=dict)  # which the hints do not know

    def type_of(self, kind: str, name: str) -> Any:
        """Find the type of a field."""
        return self.schema.type_map[kind].fields[name].type  # type: ignore[attr-defined]


@st.composite
def worlds(draw: DrawFn, *, is_async: bool) -> World:
    """Draw a world."""
    return _Maker(draw, is_async=is_async).world()


class _Maker:
    def __init__(self, draw: DrawFn, *, is_async: bool) -> None:
        self._draw, self._is_async = draw, is_async
        self._count = 0
        self._objects = [f"Object{n}" for n in range(draw(st.integers(1, 3)))]
        self._asks_classes = draw(st.booleans())  # abstract types have no function of their own
        self._types: dict[str, Any] = {**_LEAVES, "Note": NOTE}
        self.hints: dict[tuple[str, str], FieldHint] = {}
        self.hows: dict[tuple[str, str], str] = {}

    def world(self) -> World:
        shared = self._fields(1)
        own = {name: self._fields(self._draw(st.integers(1, 3))) for name in self._objects}
        roots = {name: self._fields(self._draw(st.integers(2, 4)), is_root=True) for name in ("Query", "Mutation")}
        implementing = self._draw(st.integers(1, len(self._objects)))
        classes: dict[str, type[Thing]] = {name: type(name, (Thing,), {"kind": name}) for name in (*own, *roots)}
        resolve_type = None if self._asks_classes else self._draw(st.sampled_from(self._resolvers_of_types()))
        node = self._types["Shared"] = GraphQLInterfaceType(
            "Shared", lambda: {each.name: self._field("Shared", each) for each in shared}, resolve_type=resolve_type
        )
        for n, (name, fields) in enumerate(own.items()):
            all_fields = [*shared, *fields] if n < implementing else fields
            self._types[name] = self._object(name, all_fields, classes[name], [node] if n < implementing else [])
        members = [self._types[name] for name in self._objects[-2:]]
        self._types["Either"] = GraphQLUnionType("Either", members, resolve_type=resolve_type)
        for name, fields in roots.items():
            self._types[name] = self._object(name, fields, None, [])
        schema = GraphQLSchema(
            self._types["Query"],
            self._types["Mutation"],
            types=[self._types[name] for name in (*own, "Shared", "Either", "Note")],
        )
        known = {classes[name]: name for name in self._objects if self._draw(st.booleans())}
        for name in ("sort", "text", "more"):
            self.hints["Note", name] = Attribute(name)
        keys = {("Note", name): Key((name,)) for name in ("sort", "text", "more")}
        hints = FieldHints(self.hints, {**known, Note: "Note"} if self._draw(st.booleans()) else known, keys)
        others: dict[str, type[Thing]] = {name: type(f"Other{name}", (classes[name],), {}) for name in own}
        return World(schema, hints, self._is_async, self.hows, classes, others)

    def _resolvers_of_types(self) -> list[Callable[..., Any]]:
        async def later(value: Any, _info: Any, _kind: Any) -> str | None:
            return getattr(value, "kind", None)

        def at_once(value: Any, _info: Any, _kind: Any) -> str | None:
            return getattr(value, "kind", None)

        return [at_once, later] if self._is_async else [at_once]

    def _object(
        self, name: str, fields: list[Drawn], own: type | None, interfaces: list[GraphQLInterfaceType]
    ) -> GraphQLObjectType:
        is_type_of = None
        if own is not None and (self._asks_classes or self._draw(st.booleans())):
            is_type_of = _later_of(own) if self._is_async and self._draw(st.booleans()) else _of(own)
        for each in fields:
            self.hows[name, each.name] = each.how
        return GraphQLObjectType(
            name, lambda: {each.name: self._field(name, each) for each in fields}, interfaces, is_type_of
        )

    def _fields(self, count: int, *, is_root: bool = False) -> list[Drawn]:
        return [self._drawn(is_root=is_root and n == 0) for n in range(count)]

    def _drawn(self, *, is_root: bool) -> Drawn:
        draw = self._draw
        self._count += 1
        composite = [*self._objects, "Shared", "Either"]
        named = draw(st.sampled_from(composite if is_root else [*_LEAVES, "Note", *composite]))
        wrap = draw(st.sampled_from(_WRAPS))
        hows = list(_HOWS if self._is_async else _HOWS[:-2])
        arguments: tuple[str, ...] = ()
        if draw(st.integers(0, 2)) == 0:
            hows = hows[3:]
            arguments = tuple(draw(st.lists(st.sampled_from(sorted(ARGUMENTS)), min_size=1, max_size=3, unique=True)))
        elif named == "Note":
            hows = ["sampled", "attribute"]
            wrap = wrap if wrap in ("", "N") else "N"
        else:
            hows.append("known")
            hows += _hows_of_leaves(named, wrap)
        return Drawn(f"f{self._count}", named, wrap, draw(st.sampled_from(hows)), arguments)

    def _type(self, drawn: Drawn) -> Any:
        kind = self._types[drawn.named]
        for each in drawn.wrap:
            kind = GraphQLNonNull(kind) if each == "N" else GraphQLList(kind)
        return kind

    def _field(self, kind: str, drawn: Drawn) -> GraphQLField:
        resolve, hint = _hints_of(drawn)
        if hint is not None:
            self.hints[kind, drawn.name] = hint
        return GraphQLField(self._type(drawn), {each: ARGUMENTS[each] for each in drawn.arguments}, resolve)


def _of(own: type) -> Callable[..., bool]:
    return lambda value, _info: isinstance(value, own)


def _later_of(own: type) -> Callable[..., Any]:
    async def is_type_of(value: Any, _info: Any) -> bool:
        return isinstance(value, own)

    return is_type_of


def _hows_of_leaves(named: str, wrap: str) -> list[str]:
    found = []
    if named in ("String", "Int", "ID", "Boolean"):
        found.append("stored")
        if wrap in ("", "N"):
            found.append("written")
    if named == "Colour" and wrap in ("", "N"):
        found.append("word")
    return found


def _hints_of(drawn: Drawn) -> tuple[Callable[..., Any] | None, FieldHint | None]:
    """Make a field's resolver and its hint, which return the same value."""
    name, stored = drawn.name, f"{drawn.name}_stored"
    match drawn.how:
        case "default":
            return None, None
        case "plain" | "attribute":
            return _reading(name), Attribute(name) if drawn.how == "attribute" else None
        case "sampled":
            template = Template(f"{name}_simple", Note("plain", MARKER, []).stored(), NOTE_BEGIN, NOTE_END)
            return _reading(name), Parsed(orjson.loads, stored, template if len(name) % 2 else None)
        case "written":
            return _reading(stored), Serialized(stored)
        case "stored":
            return _reading(stored, json.loads), Serialized(stored, orjson.Fragment)
        case "word":
            return _reading(stored, _internal), Serialized(stored, _WORDS.__getitem__)
    perform = _later(name) if drawn.how.endswith("later") else _at_once(name)
    hint: FieldHint | None = None
    if drawn.how == "direct with look_ahead":
        hint = Resolver(_knowing_children(perform), wants_look_ahead=True)
    elif drawn.how not in ("resolver", "later"):
        hint = Resolver(perform, preloaded=Preloaded(f"{name}_known") if drawn.how == "known" else None)
    return lambda source, info, **arguments: perform(source, info.context, arguments), hint


def _reading(name: str, convert: Callable[[Any], Any] | None = None) -> Callable[..., Any]:
    def resolve(source: Any, _info: Any) -> Any:
        value = getattr(source, name)
        return value if convert is None or value is None else convert(value)

    return resolve


def _internal(stored: str) -> Any:
    return COLOUR.values[_WORDS[stored]].value


def _at_once(name: str) -> Callable[..., Any]:
    def perform(source: Any, context: list[Any], arguments: dict[str, Any]) -> Any:
        context.append((name, repr(sorted(arguments.items()))))
        return source.answer(name, arguments)

    return perform


def _later(name: str) -> Callable[..., Any]:
    async def perform(source: Any, context: list[Any], arguments: dict[str, Any]) -> Any:
        context.append((name, repr(sorted(arguments.items()))))
        for _ in range(len(name) % 3):
            await asyncio.sleep(0)
        context.append((name, "done"))
        return source.answer(name, arguments)

    return perform


def _knowing_children(perform: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(source: Any, context: Any, arguments: Any, look_ahead: Callable[[], Sequence[SelectedField]]) -> Any:
        assert all(isinstance(each, SelectedField) for each in look_ahead())
        return perform(source, context, arguments)

    return resolve
