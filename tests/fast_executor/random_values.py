"""Values of a random schema, valid and unexpected ones, determined by a seed."""

from __future__ import annotations

import asyncio
import math
from random import Random
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import (
    GraphQLError,
    Undefined,
    get_named_type,
    is_abstract_type,
    is_enum_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator, Mapping

    from tests.fast_executor.random_schemas import World

TEXTS: Final = ("", "plain", 'a "quote"', "back\\slash", "🙂 ü", "\u2028\x00", '","more":[]}', "\\")
NOTE_BEGIN, NOTE_END = b'{"sort":"plain","text":"', b'","more":[]}'


class Named:
    """An object whose repr has no address."""

    def __repr__(self) -> str:
        return type(self).__name__


class Note(Named):
    """A value which nearly always looks the same but for one string."""

    def __init__(self, sort: str, text: str, more: list[Note]) -> None:
        self.sort, self.text, self.more = sort, text, more

    def stored(self) -> dict[str, Any]:
        """Convert it to its stored form."""
        return {"sort": self.sort, "text": self.text, "more": [each.stored() for each in self.more]}


class Awaited(Named):
    """An awaitable that can be awaited several times."""

    def __init__(self, value: Any, turns: int) -> None:
        self._value, self._turns = value, turns

    def __await__(self) -> Generator[Any, None, Any]:
        for _ in range(self._turns):
            yield from asyncio.sleep(0).__await__()
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


class Each(Named):
    """An iterable that can be iterated several times, also concurrently."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


class EachLater(Named):
    """The same, where one waits for each item."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in self._items:
            await asyncio.sleep(0)
            yield item


class Thing(Named):
    """An object whose attributes are created on first access."""

    kind = ""

    def __init__(self, values: Values, seed: str) -> None:
        self.__dict__.update(_values=values, _seed=seed)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("f"):
            raise AttributeError(name)
        value = self.__dict__[name] = self._values.attribute(self.kind, f"{self._seed}.{name}", name)
        return value

    def answer(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Give what a field's resolver gives, or raise it."""
        rng = Random(f"{self._seed}.{name}{sorted(arguments.items(), key=str)}")  # noqa: S311  (reproducible)
        value = self._values.value(self._values.world.type_of(self.kind, name), rng)
        if isinstance(value, Exception) and rng.random() < 0.5:
            raise value
        return value


class Values:
    """Makes the values of one execution."""

    def __init__(self, world: World, unexpected_kinds: tuple[str, ...], rate: float) -> None:
        self.world, self._unexpected_kinds, self._rate = world, unexpected_kinds, rate

    def root(self, kind: str, seed: int) -> Thing:
        """Make the value of a root type."""
        return self.world.classes[kind](self, f"{seed}:{kind}")

    def attribute(self, kind: str, seed: str, name: str) -> Any:
        """Make an attribute: of a field, of what is stored of it, or of what is known of it."""
        field, _, of = name.partition("_")
        rng = Random(seed.removesuffix("_stored").removesuffix("_known").removesuffix("_simple"))  # noqa: S311  (reproducible)
        how, declared = self.world.hows[kind, field], self.world.type_of(kind, field)
        if how == "sampled":
            note = self._note(rng)
            if of == "simple":
                return rng.choice((note.sort == "plain" and not note.more, None))
            return orjson.dumps(note.stored()) if of == "stored" else note
        if how == "word":
            return self._stored_word(declared, rng)
        if how == "stored":
            return orjson.dumps(self._plain(declared, rng)).decode()
        if how == "written":
            return self._plain(declared, rng)
        if of == "known":
            return self._known(self.world.classes[kind](self, seed.rpartition(".")[0]), field, rng)
        return self.value(declared, rng)

    def _known(self, thing: Thing, field: str, rng: Random) -> Any:
        try:
            found = thing.answer(field, {})
        except (ValueError, GraphQLError):
            return None
        return None if rng.random() < 0.3 or isinstance(found, Exception) else found

    def _note(self, rng: Random) -> Note:
        sort = "plain" if rng.random() < 0.7 else rng.choice(TEXTS)
        more = [self._note(rng)] if rng.random() < 0.2 else []
        return Note(sort, rng.choice(TEXTS), more)

    def _stored_word(self, declared: Any, rng: Random) -> Any:
        if not is_non_null_type(declared) and rng.random() < 0.2:
            return None
        is_bad = "wrong" in self._unexpected_kinds and rng.random() < self._rate
        return "mauve" if is_bad else rng.choice(("r", "g", "b"))

    def _plain(self, kind: Any, rng: Random) -> Any:
        """Make a value which is right, as a promise says that it is."""
        if is_non_null_type(kind):
            return self._plain_some(kind.of_type, rng)
        return None if rng.random() < 0.2 else self._plain_some(kind, rng)

    def _plain_some(self, kind: Any, rng: Random) -> Any:
        if is_list_type(kind):
            return [self._plain(kind.of_type, rng) for _ in range(rng.randrange(3))]
        return _leaf(kind.name, rng)

    def value(self, kind: Any, rng: Random) -> Any:
        """Make a value of a type, or an unexpected one."""
        if self._unexpected_kinds and rng.random() < self._rate:
            return self._unexpected(rng.choice(self._unexpected_kinds), kind, rng)
        if is_non_null_type(kind):
            return self._some(kind.of_type, rng)
        return None if rng.random() < 0.1 else self._some(kind, rng)

    def _some(self, kind: Any, rng: Random) -> Any:
        if is_list_type(kind):
            items = [self.value(kind.of_type, rng) for _ in range(rng.randrange(4))]
            return tuple(items) if rng.random() < 0.2 else items
        if is_enum_type(kind):
            return rng.choice([each.value for each in kind.values.values()])
        if is_abstract_type(kind):
            kind = rng.choice(self.world.schema.get_possible_types(kind))
        if is_object_type(kind):
            if kind.name == "Note":
                return self._note(rng)
            return self.world.classes[kind.name](self, f"{rng.random()}")
        return _leaf(kind.name, rng)

    def _unexpected(self, unexpected: str, kind: Any, rng: Random) -> Any:
        if unexpected == "null":
            return rng.choice((None, Undefined))
        if unexpected == "error":
            return rng.choice((ValueError("it broke"), GraphQLError("so it is", extensions={"code": 7})))
        if unexpected == "awaited":
            return Awaited(self.value(kind, rng), rng.randrange(3))
        if unexpected == "other class":
            named = get_named_type(kind)
            return self.world.others[named.name](self, f"{rng.random()}") if named.name in self.world.others else 3
        if unexpected == "iterable":
            return self._iterable([self.value(_item(kind), rng) for _ in range(rng.randrange(3))], rng)
        return rng.choice((True, 0, 7, 2**31, 1.0, 1.5, math.nan, "12", "none", "boom", [], [[]], {}, b"bytes"))

    def _iterable(self, items: list[Any], rng: Random) -> Any:
        if self.world.is_async:
            return rng.choice((Each, EachLater))(items)
        return rng.choice((iter(items), dict.fromkeys(range(len(items))), (each for each in items)))


def _item(kind: Any) -> Any:
    while is_non_null_type(kind):
        kind = kind.of_type
    return kind.of_type if is_list_type(kind) else kind


def _leaf(name: str, rng: Random) -> Any:
    match name:
        case "Int":
            return rng.choice((0, -1, 7, 2**31 - 1))
        case "Float":
            return rng.choice((0.5, -2.0, 1e300, 3))
        case "Boolean":
            return rng.random() < 0.5
        case "Odd":
            return rng.choice((1, "odd", [1, {"a": None}]))
        case _:
            return rng.choice(TEXTS)
