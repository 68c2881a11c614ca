"""Values, nulls, errors, abstract types and directives: a plan has the same result as graphql-core.

Each case is executed with the hints of the schema and without any.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from tests.fast_executor.sample_schema import BROKEN, EXTENDED, HINTS, WITHOUT, Cat, Dog, Room, Stone, both

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.fast_executor.hints import FieldHints


class Case(NamedTuple):
    """An operation, the root that it is executed on, and what comes of it where that is worth to be read."""

    text: str
    root: Callable[[], Any] = Room
    data: str | None = None
    raw: dict[str, Any] | None = None
    errors: list[str] | None = None


def _in_room(**given: Any) -> Callable[[], Room]:
    return lambda: Room(room=Room(**given))


def _room(selected: str, data: str | None = None, errors: list[str] | None = None, **given: Any) -> Case:
    """Ask a room for something; the errors are those expected, as text."""
    return Case(f"{{ room {{ {selected} }} }}", _in_room(**given), data and f'{{"room":{data}}}', None, errors)


def _raises(error: Exception) -> Callable[[], Any]:
    def raising() -> Any:
        raise error

    return raising


def _kinds() -> Room:
    return Room(found=[Cat(friends=[Dog(), None]), Dog(friends=[Cat()]), Stone()], animal=Dog())


async def _later(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


_INNER: Final = "inner { innerSure { sure } }"
_LATER: Final = "laterInner { laterInnerSure { laterSure } }"
_NULL: Final = "Cannot return null for non-nullable field"

_LEAVES: Final = {
    "int takes whole floats": _room("size", '{"size":3}', size=3.0),
    "int refuses fractions": _room("size", '{"size":null}', ["Int cannot represent non-integer value: 3.5"], size=3.5),
    "int refuses what is too large": _room("size", '{"size":null}', size=2**31),
    "int takes the largest": _room("size", '{"size":2147483647}', size=2**31 - 1),
    "int takes the smallest": _room("size", '{"size":-2147483648}', size=-(2**31)),
    "int takes true as one": _room("size", '{"size":1}', size=True),
    "int takes a numeral": _room("size", '{"size":12}', size="12"),
    "int refuses words": _room("size", '{"size":null}', size="twelve"),
    "float takes whole numbers": _room("warmth", '{"warmth":3.0}', warmth=3),
    "float refuses what is no number": _room("warmth", '{"warmth":null}', warmth=float("nan")),
    "float refuses the infinite": _room("warmth", '{"warmth":null}', warmth=float("inf")),
    "string takes numbers": _room("name", '{"name":"1.5"}', name=1.5),
    "string takes booleans": _room("name", '{"name":"true"}', name=True),
    "string refuses lists": _room("name", '{"name":null}', name=["a"]),
    "boolean takes numbers": _room("is_open", '{"is_open":true}', is_open=1),
    "boolean refuses words": _room("is_open", '{"is_open":null}', is_open="yes"),
    "id takes numbers": _room("id", '{"id":"7"}', id=7),
    "id refuses fractions": _room("id", '{"id":null}', id=1.5),
    "enum takes its values": _room("mood", '{"mood":"GLAD"}', mood="GLAD"),
    "enum refuses others": _room(
        "mood", '{"mood":null}', ["Enum 'Mood' cannot represent value: 'ANGRY'"], mood="ANGRY"
    ),
    "enum refuses what has no hash": _room("mood", '{"mood":null}', mood=[]),
    "a scalar of one's own takes anything": _room("json", '{"json":{"a":[1,null]}}', json={"a": [1, None]}),
    "a class of one's own is a string": _room("name", name=type("Own", (str,), {})("own")),
}
_LISTS: Final = {
    "a list": _room("words", '{"words":["a",null,"b"]}', words=["a", None, "b"]),
    "a tuple": _room("words", '{"words":["a"]}', words=("a",)),
    "an iterator": _room("words", '{"words":["a","b"]}', words=partial(iter, ("a", "b"))),
    "the keys of a dict": _room("words", words={"a": 1}.keys()),
    "a string is no list": _room("words", '{"words":null}', words="abc"),
    "a dict is no list": _room("words", words={"a": 1}),
    "a number is no list": _room("words", '{"words":null}', words=5),
    "no list": _room("words", '{"words":null}', [], words=None),
    "no sure list": _room("surelyWords", "null", [f"{_NULL} Room.surelyWords."]),
    "a null in a list of sure words": _room(
        "sureWords", '{"sureWords":null}', [f"{_NULL} Room.sureWords."], sureWords=["a", None]
    ),
    "a null in a sure list of sure words": _room(
        "surelySureWords", "null", [f"{_NULL} Room.surelySureWords."], surelySureWords=[None]
    ),
    "an error in a list": _room("words", '{"words":["a",null,"b"]}', ["it broke"], words=["a", BROKEN, "b"]),
    "an error in a list of sure words": _room("sureWords", '{"sureWords":null}', ["it broke"], sureWords=["a", BROKEN]),
    "an error in a sure list of sure words": _room(
        "surelySureWords", "null", ["it broke"], surelySureWords=["a", BROKEN]
    ),
    "several errors in a list": _room(
        "words", '{"words":[null,null]}', ["it broke", "extended"], words=[BROKEN, EXTENDED]
    ),
    "lists of lists": _room("grid", '{"grid":[[1,2],[],null]}', grid=[[1, 2], (), None]),
    "a null deep in lists": _room("grid", '{"grid":[[1],null]}', grid=[[1], [2, None]]),
    "awaitables in a list": _room("words", '{"words":["a","b"]}', words=lambda: [_later("a"), "b"]),
    "an awaitable that fails in a list": _room(
        "words", '{"words":["a",null]}', ["it broke"], words=lambda: ["a", _later(BROKEN)]
    ),
    "an awaitable null among sure words": _room(
        "sureWords", '{"sureWords":null}', words=None, sureWords=lambda: [_later(None)]
    ),
    "an awaitable list": _room("words", '{"words":["a"]}', words=lambda: _later(["a"])),
    "rooms": _room("rooms { name }", '{"rooms":[{"name":"a"},{"name":null}]}', rooms=[Room(name="a"), Room()]),
    "a room that is missing": _room("rooms { name }", "null", rooms=[Room(), None]),
    "rooms that one waits for": _room(
        "laterRooms { later name }", laterRooms=[Room(later="x"), None, Room(later=BROKEN)]
    ),
    "a sure field of one room": _room(
        "laterRooms { sure }", '{"laterRooms":[{"sure":"a"},null]}', laterRooms=[Room(sure="a"), Room()]
    ),
}
_NULLS: Final = {
    "a null": _room("name", '{"name":null}', []),
    "a null where none may be": _room("sure", "null", [f"{_NULL} Room.sure."]),
    "a null that comes later where none may be": _room("laterSure", "null", [f"{_NULL} Room.laterSure."]),
    "an error": _room("name sure", '{"name":null,"sure":"a"}', ["it broke"], name=BROKEN, sure="a"),
    "an error that is raised": _room("name", '{"name":null}', ["it broke"], name=_raises(BROKEN)),
    "an error with extensions": _room("name", '{"name":null}', ["extended"], name=EXTENDED),
    "an error that comes later": _room("later name", '{"later":null,"name":"a"}', ["it broke"], later=BROKEN, name="a"),
    "an error where no null may be": _room("sure", "null", ["it broke"], sure=BROKEN),
    "an error goes up to what may be null": _room(_INNER, '{"inner":null}', inner=Room(innerSure=Room(sure=BROKEN))),
    "a null goes up to what may be null": _room(_INNER, '{"inner":null}', inner=Room(innerSure=Room())),
    "one side fails": _room(
        f"name {_INNER}", '{"name":"a","inner":null}', name="a", inner=Room(innerSure=Room(sure=EXTENDED))
    ),
    "a late error goes up": _room(
        _LATER, '{"laterInner":null}', laterInner=Room(laterInnerSure=Room(laterSure=BROKEN))
    ),
    "all is there": _room(
        f"{_INNER} {_LATER}", inner=Room(innerSure=Room(sure="a")), laterInner=Room(laterInnerSure=Room(laterSure="b"))
    ),
    "an error up to the data": Case(
        "{ sureRoom { name } room { name } }", Room, "null", None, [f"{_NULL} Query.sureRoom."]
    ),
    "an error from deep up to the data": Case(
        "{ sureRoom { innerSure { sure } } }", lambda: Room(sureRoom=Room(innerSure=Room())), "null"
    ),
    "errors of aliases": Case(
        "{ a: failing b: laterFailing c: failing }", lambda: Room(failing=BROKEN, laterFailing=EXTENDED)
    ),
    "an error beside what comes later": _room(
        "later sure laterInner { later }", "null", later="a", sure=BROKEN, laterInner=Room(later="b")
    ),
    "no root": Case("{ __typename }", lambda: None, '{"__typename":"Query"}'),
    "a root without what is asked": Case("{ room { name } failing }", lambda: None),
}
_ABSTRACT: Final = {
    "a union": Case(
        "{ found { __typename ... on Cat { lives } ... on Dog { barks } ... on Stone { weight } } }",
        _kinds,
        '{"found":[{"__typename":"Cat","lives":9},{"__typename":"Dog","barks":true},{"__typename":"Stone","weight":1.5}]}',
    ),
    "an interface": Case(
        "{ animal { name mood ... on Cat { lives } ... on Dog { barks } } }",
        _kinds,
        '{"animal":{"name":"Rex","mood":"SAD","barks":true}}',
    ),
    "an interface within a union": Case(
        "{ found { ... on Animal { name ... on Dog { barks name } } ... on Found { __typename } } }", _kinds
    ),
    "fragments on what it is not": Case("{ animal { ... on Cat { lives } } }", _kinds, '{"animal":{}}'),
    "lists of interfaces within unions": Case(
        "{ found { ... on Cat { friends { __typename name } } ... on Dog { friends { mood } } } }", _kinds
    ),
    "a field that merges in several types": Case(
        "{ found { ...A ...B } } fragment A on Found { ... on Cat { friends { name } } } "
        "fragment B on Found { ... on Cat { friends { mood __typename } name } }",
        _kinds,
    ),
    "a value of no type": Case("{ found { __typename } }", lambda: Room(found=[Stone(), Room()]), '{"found":null}'),
    "a value of a type outside": Case(
        "{ animal { name } }",
        lambda: Room(animal=Stone()),
        '{"animal":null}',
        None,
        ["Runtime Object type 'Stone' is not a possible type for 'Animal'."],
    ),
    "a number for an object": Case("{ animal { name } }", lambda: Room(animal=5), '{"animal":null}'),
    "a null in a list of animals": _room("animals { name }", '{"animals":null}', animals=[Cat(), None]),
    "an error for an animal": _room("animals { name }", '{"animals":null}', animals=[Cat(), BROKEN]),
    "an animal with a wrong mood": _room(
        "animals { mood name }", '{"animals":[{"mood":null,"name":"Tom"}]}', animals=[Cat(mood="?")]
    ),
    "found beside null": _room(
        "found { ... on Animal { name } }", '{"found":[{"name":"Tom"},null,{}]}', found=[Cat(), None, Stone()]
    ),
    "a subclass": Case(
        "{ animal { name } }", lambda: Room(animal=type("Dog", (Dog,), {})()), '{"animal":{"name":"Rex"}}'
    ),
    "animals that one waits for": _room(
        "animals { name }", '{"animals":[{"name":"Tom"}]}', animals=lambda: [_later(Cat())]
    ),
}
_FLAG: Final = "query ($on: Boolean!) "
_DIRECTIVES: Final = {
    "skip true": _room("name @skip(if: true) size", '{"size":1}', size=1),
    "skip false": _room("name @skip(if: false) size", '{"name":"a","size":1}', name="a", size=1),
    "include false": _room("name @include(if: false) size", '{"size":1}', size=1),
    "skip beats include": _room("name @include(if: true) @skip(if: true)", "{}", name="a"),
    "all is skipped": Case("{ room @skip(if: true) { name } }", Room, "{}"),
    "a spread is skipped": _room(
        "... @skip(if: true) { name } ...R @include(if: false) }  } fragment R on Room { size ... { id", "{}", name="a"
    ),
    "a field that is skipped once": _room("name @skip(if: true) name", '{"name":"a"}', name="a"),
    "by a variable, on": Case(
        f"{_FLAG}{{ room {{ name @include(if: $on) size @skip(if: $on) }} }}",
        _in_room(name="a", size=1),
        '{"room":{"name":"a"}}',
        {"on": True},
    ),
    "by a variable, off": Case(
        f"{_FLAG}{{ room {{ name @include(if: $on) size @skip(if: $on) }} }}",
        _in_room(name="a", size=1),
        '{"room":{"size":1}}',
        {"on": False},
    ),
    "by a variable without a value": Case(f"{_FLAG}{{ room {{ name @include(if: $on) }} }}", Room, "null", {}),
    "by a null for a default": Case(
        "query ($on: Boolean = true) { room { name @include(if: $on) size } }",
        _in_room(size=1),
        '{"room":null}',
        {"on": None},
    ),
    "by a default": Case(
        "query ($on: Boolean = false) { room { name @include(if: $on) size } }",
        _in_room(size=1),
        '{"room":{"size":1}}',
        {},
    ),
}
_SELECTIONS: Final = {
    "keys stand in the order of the operation": _room(
        "size b: name a: name __typename size", '{"size":1,"b":"x","a":"x","__typename":"Room"}', size=1, name="x"
    ),
    "selections merge": Case(
        "{ room { size inner { name } } room { name inner { size } } }",
        _in_room(size=1, inner=Room(name="x", size=2)),
        '{"room":{"size":1,"inner":{"name":"x","size":2},"name":null}}',
    ),
    "fragments merge": Case(
        "{ room { ...A ...B size } } fragment A on Room { inner { name } } "
        "fragment B on Room { inner { name size } name }",
        _in_room(inner=Room(name="x")),
    ),
    "late and early fields keep their order": _room(
        "later name laterInner { size later } size",
        '{"later":"a","name":"b","laterInner":{"size":1,"later":"c"},"size":2}',
        later="a",
        name="b",
        size=2,
        laterInner=Room(size=1, later="c"),
    ),
    "a name of Python's": Case(
        "{ class: room { def: name self: size } }", _in_room(name="x"), '{"class":{"def":"x","self":null}}'
    ),
    "the schema": Case(
        '{ __schema { queryType { name } } __type(name: "Mood") { enumValues { name } } room { __typename } }',
        _in_room(),
    ),
}


def _all_of(*tables: dict[str, Case]) -> list[Any]:
    return [pytest.param(case, id=name) for table in tables for name, case in table.items()]


@pytest.mark.parametrize("hints", [HINTS, WITHOUT], ids=["with hints", "without hints"])
@pytest.mark.parametrize("case", _all_of(_LEAVES, _LISTS, _NULLS, _ABSTRACT, _DIRECTIVES, _SELECTIONS))
async def test_plan_equals_graphql_core(case: Case, hints: FieldHints) -> None:
    compiled, normal = await both(case.text, case.root, case.raw or {}, hints)

    assert compiled == normal
    assert case.data in (None, compiled.data.decode())
    assert case.errors in (None, [each["message"] for each in compiled.errors])
