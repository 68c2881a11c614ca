"""Variables and arguments are coerced like in graphql-core, with the same errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.fast_executor.sample_schema import HINTS, WITHOUT, Room, both

if TYPE_CHECKING:
    from gateway.fast_executor.hints import FieldHints

_AT: Final = "query ($at: Place) { place(at: $at) }"
_EITHER: Final = "query ($either: Either) { place(either: $either) }"
_LIST: Final = "query ($list: [Int!]) { place(list: $list) }"
_SHOUT: Final = "query ($text: String, $times: Int! = 2) { shout(text: $text, times: $times) }"
_MANY: Final = "query ($mood: Mood, $id: ID, $json: Json) { place(mood: $mood, id: $id, json: $json) }"
_WITHIN: Final = (
    "query ($n: Int!, $room: String) { place(at: {floor: $n, room: $room, near: [{floor: $n}]}, list: [1, $n]) }"
)

_GIVEN: Final[dict[str, tuple[str, list[dict[str, Any]]]]] = {
    "an input": (
        _AT,
        [{"at": {"floor": 1}}, {"at": {"floor": 1, "room": "attic"}}, {"at": {"floor": 1, "room": None}}],
    ),
    "an input within itself": (_AT, [{"at": {"floor": 1, "near": [{"floor": 2, "near": []}]}}]),
    "one value for a list of it": (_AT, [{"at": {"floor": 1, "near": {"floor": 2}}}]),
    "no input": (_AT, [{}, {"at": None}]),
    "an input that lacks a field": (_AT, [{"at": {}}, {"at": {"room": "attic"}}, {"at": {"floor": None}}]),
    "an input with a field too many": (_AT, [{"at": {"floor": 1, "flor": 2}}]),
    "an input of a wrong kind": (
        _AT,
        [{"at": 5}, {"at": [1]}, {"at": {"floor": "1"}}, {"at": {"floor": 1, "near": [None]}}],
    ),
    "one of several": (_EITHER, [{"either": {"room": "a"}}, {"either": {"floor": 1}}]),
    "none or more of several": (
        _EITHER,
        [{"either": {}}, {"either": {"room": "a", "floor": 1}}, {"either": {"room": None}}],
    ),
    "a list": (_LIST, [{"list": [1, 2]}, {"list": []}, {"list": 3}, {"list": None}, {}]),
    "a list with what does not belong there": (
        _LIST,
        [{"list": [1, None]}, {"list": ["1"]}, {"list": [[1]]}, {"list": (1, 2)}],
    ),
    "defaults": (_SHOUT, [{}, {"text": "a"}, {"text": None}, {"times": 3}, {"text": "a", "times": 1}]),
    "null for what has a default": (_SHOUT, [{"times": None}]),
    "words, ids and anything": (_MANY, [{"mood": "GLAD", "id": 5, "json": {"a": [1]}}, {"id": "x"}, {"json": None}]),
    "words and ids that are none": (_MANY, [{"mood": "glad"}, {"mood": 1}, {"id": 1.5}, {"id": True}, {"id": 2.0}]),
    "numbers at their bounds": (
        _LIST,
        [{"list": [2**31 - 1, -(2**31)]}, {"list": [2**31]}, {"list": [1.0]}, {"list": [1.5, True]}],
    ),
    "variables within literals": (_WITHIN, [{"n": 1}, {"n": 1, "room": "a"}, {"n": 1, "room": None}, {}]),
    "literals with defaults": (
        '{ place(at: {floor: 1}, list: 3) a: shout b: shout(text: "x", times: 2) c: shout(text: null) }',
        [{}],
    ),
    "a default of the operation": (
        "query ($at: Place = {floor: 7}) { place(at: $at) }",
        [{}, {"at": None}, {"at": {"floor": 1}}],
    ),
    "a nullable variable for an argument with a default": (
        "query ($times: Int) { shout(times: $times) }",
        [{}, {"times": 2}, {"times": None}],
    ),
    "several wrong ones": (
        "query ($a: Int!, $b: Int!, $c: Mood) { a: place(list: [$a, $b], mood: $c) }",
        [{"a": "x", "c": "y"}],
    ),
    "an undeclared variable": (_LIST, [{"list": [1], "other": 1}]),
}


@pytest.mark.parametrize("hints", [HINTS, WITHOUT], ids=["with hints", "without hints"])
@pytest.mark.parametrize(("text", "given"), _GIVEN.values(), ids=_GIVEN)
async def test_plan_coerces_like_graphql_core(text: str, given: list[dict[str, Any]], hints: FieldHints) -> None:
    for raw in given:
        compiled, normal = await both(text, Room, raw, hints)

        assert compiled == normal


async def test_arguments_have_schema_names_and_defaults() -> None:
    compiled, _ = await both(_AT, Room, {"at": {"floor": 1, "near": [{"floor": 2, "room": None}]}})

    near = "[{'room': None, 'floor': 2}]"
    assert compiled.data.decode() == f"""{{"place":"[('at', {{'room': 'hall', 'floor': 1, 'near': {near}}})]"}}"""


async def test_invalid_variables_are_refused_before_execution() -> None:
    compiled, _ = await both(_SHOUT, Room, {"times": "2"})

    assert compiled.data == b"null"
    assert [each["message"] for each in compiled.errors] == [
        "Variable '$times' has invalid value: Int cannot represent non-integer value: '2'"
    ]
