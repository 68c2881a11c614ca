from __future__ import annotations

import pytest

from gateway.domain import validate
from gateway.errors import InvalidRequest


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "a string"),
        (1, "an integer"),
        (1.0, "a decimal number"),
        (True, "a boolean"),
        ([], "an array"),
        ({}, "an object"),
        (None, "null"),
    ],
)
def test_every_kind_of_json_has_its_word(value: object, word: str) -> None:
    assert validate.type_word(value) == word


@pytest.mark.parametrize(
    ("supported", "listed"),
    [
        pytest.param(("a",), "'a'", id="one"),
        pytest.param(("a", "b"), "'a' and 'b'", id="two"),
        pytest.param(("a", "b", "c"), "'a', 'b', and 'c'", id="three"),
    ],
)
def test_supported_values_are_listed_as_in_a_sentence(supported: tuple[str, ...], listed: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        validate.one_of("x", "field", supported)

    assert refused.value.message == f"Invalid value: 'x'. Supported values are: {listed}."


@pytest.mark.parametrize("value", [1, 100], ids=["least", "most"])
def test_integers_equal_to_the_bounds_are_valid(value: int) -> None:
    assert validate.an_integer(value, "limit", at_least=1, at_most=100) == value


@pytest.mark.parametrize(("value", "word"), [(True, "a boolean"), (1.0, "a decimal number"), (None, "null")])
def test_only_a_whole_number_is_an_integer(value: object, word: str) -> None:
    with pytest.raises(InvalidRequest, match=f"expected an integer, but got {word}"):
        validate.an_integer(value, "limit", at_least=0, at_most=1)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        pytest.param({"x": 1}, "Missing required parameter: 'a[0].one'.", id="missing before unknown"),
        pytest.param({"two": 2, "x": 1}, "Missing required parameter: 'a[0].one'.", id="in the order of the schema"),
        pytest.param({"y": 1, "one": 1, "two": 2, "x": 1}, "Unknown parameter: 'a[0].y'.", id="the first unknown"),
    ],
)
def test_the_first_invalid_field_is_reported(raw: validate.JsonObject, told: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        validate.fields(raw, "a[0]", required=("one", "two"))

    assert refused.value.message == told


def test_a_required_field_may_be_null() -> None:
    validate.fields({"one": None}, "", required=("one",))
