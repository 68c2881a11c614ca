"""Random valid operations for a random schema, with valid, invalid and missing variables."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    Undefined,
    get_named_type,
    is_composite_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from tests.fast_executor.random_schemas import World

_DEPTH: Final = 4
_CONDITIONS: Final = 3  # that are variables
_WORDS: Final = ("RED", "GREEN", "BLUE")
_WRONG: Final[tuple[Any, ...]] = (
    None,
    True,
    1.5,
    2.0,
    2**31,
    "7",
    "boom",
    "RED",
    [None],
    [[1]],
    {},
    {"x": 1, "y": "b"},
    {"f": "no"},
)


@dataclass(frozen=True)
class Variable:
    """A variable as it is declared."""

    name: str
    kind: Any
    default: str | None

    def __str__(self) -> str:
        return f"${self.name}: {self.kind}" + ("" if self.default is None else f" = {self.default}")


@dataclass
class Asked:
    """An operation, and its variables for one execution after the other."""

    text: str
    variables: list[dict[str, Any]] = field(default_factory=list)


@cache
def below(number: int) -> st.SearchStrategy[int]:
    """Keep what draws a number, which takes longer to make than to use."""
    return st.integers(0, number - 1)


@st.composite
def operations(draw: DrawFn, world: World, times: int) -> Asked:
    """Draw an operation."""
    asking = _Asking(draw, world)
    is_mutation = draw(below(4)) == 3
    selected = asking.selection(world.schema.type_map["Mutation" if is_mutation else "Query"], _DEPTH)
    declared = ", ".join(map(str, asking.variables))
    head = f"{'mutation' if is_mutation else 'query'} Drawn{f'({declared})' if declared else ''}"
    text = "\n".join([f"{head} {selected}", *asking.fragments])
    return Asked(text, [asking.values() for _ in range(times)])


class _Asking:
    def __init__(self, draw: DrawFn, world: World) -> None:
        self._draw, self._world = draw, world
        self.variables: list[Variable] = []
        self.fragments: list[str] = []
        self._spreads: list[tuple[str, Any]] = []
        self._conditions: list[str] = []
        self._arguments: dict[str, str] = {}  # by the key in the answer, for which they are always the same

    def _chance(self, one_in: int) -> bool:
        return self._draw(below(one_in)) == one_in - 1

    def _pick(self, options: Any) -> Any:
        return options[self._draw(below(len(options)))]

    def selection(self, kind: Any, depth: int) -> str:
        """Draw what is selected of an object."""
        return "{ " + " ".join(self._selected(kind, depth) for _ in range(1 + self._draw(below(4)))) + " }"

    def _selected(self, kind: Any, depth: int) -> str:
        choice = self._draw(below(10))
        if choice == 0 or depth == 0:
            return f"{self._pick(('', 'kind: '))}__typename{self._directive()}"
        if choice == 1:
            of = self._pick(self._overlapping(kind))
            on = "" if of is kind and self._chance(2) else f" on {of}"
            return f"...{on}{self._directive()} {self.selection(of, depth - 1)}"
        if choice == 2:
            return f"...{self._spread(kind, depth - 1)}{self._directive()}"
        fields = getattr(kind, "fields", {})
        if not fields:
            return f"... on {(of := self._pick(self._overlapping(kind)))} {self.selection(of, depth - 1)}"
        name, definition = self._pick(list(fields.items()))
        return self._field(name, definition, depth)

    def _overlapping(self, kind: Any) -> list[Any]:
        schema = self._world.schema
        possible = {kind.name} if is_object_type(kind) else {each.name for each in schema.get_possible_types(kind)}
        found = [schema.type_map[name] for name in sorted(possible)]
        abstract: list[Any] = [schema.type_map["Shared"], schema.type_map["Either"]]
        found += [each for each in abstract if possible & {one.name for one in schema.get_possible_types(each)}]
        return found if kind in found else [kind, *found]

    def _spread(self, kind: Any, depth: int) -> str:
        overlapping = self._overlapping(kind)
        known = [name for name, of in self._spreads if of in overlapping]
        if known and self._chance(2):
            return str(self._pick(known))
        of = self._pick(overlapping)
        selected = self.selection(of, depth)
        name = f"Part{len(self._spreads)}"
        self._spreads.append((name, of))
        self.fragments.append(f"fragment {name} on {of} {selected}")
        return name

    def _field(self, name: str, definition: Any, depth: int) -> str:
        variant = self._pick(("", "", "a", "b"))
        key = f"{name}{variant}"
        if key not in self._arguments:
            self._arguments[key] = self._given(definition.args)
        head = f"{key}: {name}" if variant else name
        kind = get_named_type(definition.type)
        selected = f" {self.selection(kind, depth - 1)}" if is_composite_type(kind) else ""
        return f"{head}{self._arguments[key]}{self._directive()}{selected}"

    def _directive(self) -> str:
        if not self._chance(6):
            return ""
        word = self._pick(("skip", "include"))
        if self._chance(3):
            return f" @{word}(if: {self._pick(('true', 'false'))})"
        if len(self._conditions) < _CONDITIONS and (not self._conditions or self._chance(2)):
            kind = self._world.schema.type_map["Boolean"]
            default = self._pick((None, None, "true", "false"))
            written = "Boolean" if default and self._chance(2) else "Boolean!"
            self._conditions.append(self._declare(_Written(written, kind), default))
            return f" @{word}(if: ${self._conditions[-1]})"
        return f" @{word}(if: ${self._pick(self._conditions)})"

    def _given(self, arguments: dict[str, GraphQLArgument]) -> str:
        given = [
            f"{name}: {self._value_at(argument)}"
            for name, argument in arguments.items()
            if not self._chance(3) or _is_required(argument)
        ]
        return f"({', '.join(given)})" if given else ""

    def _value_at(self, place: GraphQLArgument | GraphQLInputField, *, is_one_of: bool = False) -> str:
        kind = place.type
        if self._chance(2):
            return self._literal(kind, may_be_null=not is_one_of)
        if is_one_of:
            return f"${self._declare(_Written(f'{kind}!', kind), None)}"
        inner = kind.of_type if is_non_null_type(kind) else kind
        default = self._literal(inner, may_be_null=False, is_constant=True) if self._chance(3) else None
        if is_non_null_type(kind) and (default is not None or place.default_value is not Undefined):
            kind = self._pick((kind, inner))
        elif not is_non_null_type(kind) and self._chance(4):
            return f"${self._declare(_Written(f'{kind}!', kind), default)}"
        return f"${self._declare(kind, default)}"

    def _declare(self, kind: Any, default: str | None) -> str:
        name = f"v{len(self.variables)}"
        self.variables.append(Variable(name, kind, default))
        return name

    def _literal(self, kind: Any, *, may_be_null: bool = True, is_constant: bool = False) -> str:
        if is_non_null_type(kind):
            return self._literal(kind.of_type, may_be_null=False, is_constant=is_constant)
        if may_be_null and self._chance(6):
            return "null"
        if is_list_type(kind):
            if self._chance(4):  # a single value is coerced to a list, also to one of lists; a list in its place is not
                return self._literal(get_named_type(kind), may_be_null=False, is_constant=is_constant)
            items = [self._literal(kind.of_type, is_constant=is_constant) for _ in range(self._draw(below(3)))]
            return f"[{', '.join(items)}]"
        if is_input_object_type(kind):
            return self._object(kind, is_constant=is_constant)
        return str(self._pick(_WORDS)) if is_enum_type(kind) else str(json.dumps(self._pick(_leaves(kind.name))))

    def _object(self, kind: Any, *, is_constant: bool) -> str:
        if kind.is_one_of:
            chosen = [self._pick(list(kind.fields.items()))]
        else:
            chosen = [each for each in kind.fields.items() if _is_required(each[1]) or self._chance(3)]
        written = [
            f"{name}: {self._literal(each.type, may_be_null=not kind.is_one_of, is_constant=True)}"
            if is_constant
            else f"{name}: {self._value_at(each, is_one_of=kind.is_one_of)}"
            for name, each in chosen
        ]
        return f"{{{', '.join(written)}}}"

    def values(self) -> dict[str, Any]:
        """Draw the values of the variables for one execution."""
        found = {}
        is_plain = self._chance(2)
        for each in self.variables:
            is_needed = str(each.kind).endswith("!") and each.default is None
            if not is_needed and self._chance(3):
                continue
            if not is_plain and self._chance(8):
                found[each.name] = self._pick(_WRONG)
            else:
                found[each.name] = self._raw(each.kind)
        return found

    def _raw(self, kind: Any) -> Any:
        if isinstance(kind, _Written):
            kind, is_needed = kind.inner, kind.text.endswith("!")
            return self._raw_some(kind) if is_needed else self._raw(kind)
        if is_non_null_type(kind):
            return self._raw_some(kind.of_type)
        return None if self._chance(6) else self._raw_some(kind)

    def _raw_some(self, kind: Any) -> Any:
        if is_list_type(kind):
            return [self._raw(kind.of_type) for _ in range(self._draw(below(3)))]
        if is_enum_type(kind):
            return self._pick(_WORDS)
        if not is_input_object_type(kind):
            return self._pick(_leaves(kind.name))
        if kind.is_one_of:
            name, each = self._pick(list(kind.fields.items()))
            return {name: self._raw_some(each.type)}
        fields = [each for each in kind.fields.items() if _is_required(each[1]) or self._chance(3)]
        return {name: self._raw(each.type) for name, each in fields}


@dataclass(frozen=True)
class _Written:
    """A type that a variable is declared with, which the schema has no object for."""

    text: str
    inner: Any

    def __str__(self) -> str:
        return self.text


def _is_required(place: GraphQLArgument | GraphQLInputField) -> bool:
    return is_non_null_type(place.type) and place.default_value is Undefined


def _leaves(name: str) -> tuple[Any, ...]:
    match name:
        case "Int":
            return (0, 7, -(2**31))
        case "Float":
            return (0.5, 2, -1e9)
        case "Boolean":
            return (True, False)
        case "ID":
            return ("id", 5)
        case "Odd":
            return (1, "odd", [1, 2])
        case _:
            return ("", "ü 🙂", 'a "quote"')
