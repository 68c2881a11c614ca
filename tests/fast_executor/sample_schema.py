"""A sample schema that covers every case of an executor: nulls, errors, awaitables, abstract types, arguments.

Where a field has a hint, it reads the same value as the field's resolver; each test chooses the values.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from graphql import GraphQLError, GraphQLObjectType, build_schema, parse

from gateway.fast_executor.hints import Attribute, FieldHint, FieldHints, Resolver
from tests.fast_executor.comparison import plan_of, run_compiled, run_normally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fast_executor.comparison import Result

SDL: Final = """
    scalar Json
    enum Mood { GLAD SAD }
    interface Animal { name: String, mood: Mood }
    type Cat implements Animal { name: String, mood: Mood, lives: Int, friends: [Animal] }
    type Dog implements Animal { name: String, mood: Mood, barks: Boolean, friends: [Animal!] }
    type Stone { weight: Float }
    union Found = Cat | Dog | Stone
    input Place { room: String = "hall", floor: Int!, near: [Place!] }
    input Either @oneOf { room: String, floor: Int }
    type Room {
        name: String, sure: String!, inner: Room, innerSure: Room!
        later: String, laterSure: String!, laterInner: Room, laterInnerSure: Room!
        words: [String], sureWords: [String!], surelyWords: [String]!, surelySureWords: [String!]!, grid: [[Int!]]
        animals: [Animal!], found: [Found], rooms: [Room!]!, laterRooms: [Room]
        size: Int, warmth: Float, is_open: Boolean, id: ID, mood: Mood, json: Json
    }
    type Query {
        room: Room, sureRoom: Room!, animal: Animal, found: [Found!], failing: String, laterFailing: String
        shout(text: String = "oh", times: Int! = 1): String
        place(at: Place, either: Either, list: [Int!], mood: Mood, id: ID, json: Json): String
    }
    type Mutation {
        add(number: Int!): Counter, laterAdd(number: Int!): Counter, failAdd(number: Int!): Counter
        laterFailAdd(number: Int!): Counter, sureAdd(number: Int!): Counter!
    }
    type Counter { total: Int, laterTotal: Int }
"""


@dataclass
class Cat:
    name: Any = "Tom"
    mood: Any = "GLAD"
    lives: Any = 9
    friends: Any = field(default_factory=list)


@dataclass
class Dog:
    name: Any = "Rex"
    mood: Any = "SAD"
    barks: Any = True
    friends: Any = field(default_factory=list)


@dataclass
class Stone:
    weight: Any = 1.5


class Room:
    """A room with the attributes that a test gives; all others are null."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return None


@dataclass
class Counter:
    total: int = 0
    done: list[str] = field(default_factory=list)

    def add(self, name: str, number: int) -> Counter:
        """Add a number, and write down what was added."""
        self.done.append(f"{name} {number}")
        self.total += number
        if "fail" in name.lower():
            raise ValueError(f"{name} does not add")
        return Counter(self.total)


def _value(given: Any) -> Any:
    """Give what a test has put in the place of a value."""
    if callable(given):
        return given()
    return given


async def _later(given: Any) -> Any:
    await asyncio.sleep(0)
    value = _value(given)
    if isinstance(value, Exception):
        raise value
    return value


def _read(name: str) -> Callable[..., Any]:
    def resolve(source: Any, _context: Any, _arguments: Mapping[str, Any]) -> Any:
        value = _value(getattr(source, name))
        if isinstance(value, Exception):
            raise value
        return value

    return resolve


def _read_later(name: str) -> Callable[..., Any]:
    return lambda source, _context, _arguments: _later(getattr(source, name))


def _add(name: str) -> Callable[..., Any]:
    return lambda source, _context, arguments: source.add(name, arguments["number"])


def _add_later(name: str) -> Callable[..., Any]:
    async def add(source: Any, _context: Any, arguments: Mapping[str, Any]) -> Any:
        await asyncio.sleep(0)
        return source.add(name, arguments["number"])

    return add


def _echo(_source: Any, _context: Any, arguments: Mapping[str, Any]) -> str:
    return repr(sorted(arguments.items()))


def _shout(_source: Any, _context: Any, arguments: Mapping[str, Any]) -> str:
    return str(arguments["text"] * arguments["times"])


def _total_later(source: Any, _context: Any, _arguments: Any) -> Any:
    return _later(source.total)


_OWN: Final[dict[str, Callable[..., Any]]] = {
    "Query.shout": _shout,
    "Query.place": _echo,
    "Counter.laterTotal": _total_later,
    **{f"Mutation.{name}": _add(name) for name in ("add", "failAdd", "sureAdd")},
    **{f"Mutation.{name}": _add_later(name) for name in ("laterAdd", "laterFailAdd")},
}
_CLASSES: Final = {Cat: "Cat", Dog: "Dog", Stone: "Stone", Counter: "Counter"}


def _resolver_of(kind: str, name: str) -> Callable[..., Any]:
    own = _OWN.get(f"{kind}.{name}")
    return own or (_read_later(name) if name.startswith("later") else _read(name))


def _build() -> tuple[Any, FieldHints]:
    schema = build_schema(SDL)
    hints: dict[tuple[str, str], FieldHint] = {}
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name.startswith("__"):
            continue
        for name, each in kind.fields.items():
            function = _resolver_of(kind.name, name)
            is_plain = kind.name in ("Cat", "Dog", "Stone") or f"{kind.name}.{name}" == "Counter.total"
            hints[kind.name, name] = Attribute(name) if is_plain else Resolver(function)
            if not is_plain:
                each.resolve = lambda source, info, _call=function, **given: _call(source, info.context, given)
    for abstract in ("Animal", "Found"):
        schema.type_map[abstract].resolve_type = lambda value, _info, _kind: type(value).__name__  # type: ignore[attr-defined]
    return schema, FieldHints(hints, _CLASSES)


SCHEMA, HINTS = _build()
WITHOUT: Final = FieldHints()  # graphql-core resolves everything, and the plan only remembers what is asked for


async def both(
    text: str, root: Callable[[], Any], raw: dict[str, Any], hints: FieldHints = HINTS
) -> tuple[Result, Result]:
    """Execute an operation with a plan and by graphql-core; the plan twice, for what it keeps of the first time."""
    plan = plan_of(SCHEMA, text, hints)
    await run_compiled(plan, raw, root())
    return await run_compiled(plan, raw, root()), await run_normally(SCHEMA, parse(text), raw, root())


BROKEN: Final = ValueError("it broke")
EXTENDED: Final = GraphQLError("extended", extensions={"code": "extended"})
