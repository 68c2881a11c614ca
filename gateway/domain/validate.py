"""Validation errors of raw JSON: the field, what was expected, and what was given.

Every error of a body, a query string or a GraphQL input has its text here, so that all have one style.
Source: rest-contract §5 (texts, `param`, `code`), "Type words" and "List joins" below its table.
Must not be here: which fields a thread or a message has (`parse`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from gateway.errors import InvalidRequest, excerpt, excerpt_of_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.domain.bounds import Bound

JsonObject = dict[str, Any]

_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_TYPE_WORDS = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def type_word(value: object) -> str:
    """Name the JSON type of a value, with its article."""
    return _TYPE_WORDS.get(type(value), "nothing")  # an unset GraphQL variable inside a literal


def refuse(message: str, param: str | None, code: str) -> NoReturn:
    """Reject the request."""
    raise InvalidRequest(message, param=param, code=code)


def refuse_type(param: str, expected: str, value: object) -> NoReturn:
    """Reject a value of the wrong JSON type."""
    refuse(
        f"Invalid type for '{param}': expected {expected}, but got {type_word(value)} instead.", param, "invalid_type"
    )


def within(path: str, key: str) -> str:
    """Return the path of a key, which may be any text from a client."""
    key = excerpt_of_name(key)
    return f"{path}.{key}" if path else key


def root_object(value: object) -> JsonObject:
    """Check that a body is an object."""
    if isinstance(value, dict):
        return value
    refuse(f"Invalid type: expected an object, but got {type_word(value)} instead.", None, "invalid_type")


def an_object(value: object, path: str, expected: str = "an object") -> JsonObject:
    """Check that a value is an object."""
    if isinstance(value, dict):
        return value
    refuse_type(path, expected, value)


def an_array(value: object, path: str, *, at_least: int = 0, at_most: int | None = None) -> list[Any]:
    """Check that a value is an array of bounded length."""
    if not isinstance(value, list):
        refuse_type(path, "an array", value)
    if len(value) < at_least:
        message = (
            f"Invalid '{path}': empty array. Expected an array with minimum length {at_least}, "
            "but got an empty array instead."
        )
        refuse(message, path, "empty_array")
    if at_most is not None and len(value) > at_most:
        message = (
            f"Invalid '{path}': array too long. Expected an array with maximum length {at_most}, "
            f"but got an array with length {len(value)} instead."
        )
        refuse(message, path, "array_above_max_length")
    return value


def total(found: int, path: str, bound: Bound) -> None:
    """Reject too many items, counted over a whole field."""
    if found > bound.number:
        what = "string" if bound.code == "string_above_max_length" else "array"
        message = (
            f"Invalid '{path}': {what} too long. Expected at most {bound.number} {bound.unit}, but got {found} instead."
        )
        refuse(message, path, bound.code)


def a_string(value: object, path: str, *, at_least: int = 0, at_most: int | None = None) -> str:
    """Check that a value is a string of bounded length, in code points."""
    if not isinstance(value, str):
        refuse_type(path, "a string", value)
    if len(value) < at_least:
        message = (
            f"Invalid '{path}': empty string. Expected a string with minimum length {at_least}, "
            "but got an empty string instead."
        )
        refuse(message, path, "empty_string")
    if at_most is not None and len(value) > at_most:
        message = (
            f"Invalid '{path}': string too long. Expected a string with maximum length {at_most}, "
            f"but got a string with length {len(value)} instead."
        )
        refuse(message, path, "string_above_max_length")
    return value


def is_plain(text: str) -> bool:
    """Check that a name has no control characters, no surrogates and no marks that change the direction of text.

    Source: Unicode, general category Cc (C0, DEL, C1) and property Bidi_Control.
    """
    return _UNSEEN.search(text) is None


def one_of(value: object, path: str, supported: Sequence[str]) -> str:
    """Check that a value is one of several strings."""
    text = a_string(value, path)
    if text in supported:
        return text
    refuse(f"Invalid value: '{excerpt(text)}'. Supported values are: {_listed(supported)}.", path, "invalid_value")


def an_integer(value: object, path: str, *, at_least: int, at_most: int) -> int:
    """Check that a value is an integer within bounds; `true` is not an integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        refuse_type(path, "an integer", value)
    if value < at_least:
        message = (
            f"Invalid '{path}': integer below minimum value. Expected a value >= {at_least}, but got {value} instead."
        )
        refuse(message, path, "integer_below_min_value")
    if value > at_most:
        message = (
            f"Invalid '{path}': integer above maximum value. Expected a value <= {at_most}, but got {value} instead."
        )
        refuse(message, path, "integer_above_max_value")
    return value


def fields(raw: JsonObject, path: str, *, required: Sequence[str] = (), optional: Sequence[str] = ()) -> None:
    """Check the keys of an object; missing keys are reported before unknown ones."""
    for key in required:
        if key not in raw:
            param = within(path, key)
            refuse(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")
    for key in raw:
        if key not in required and key not in optional:
            param = within(path, key)
            refuse(f"Unknown parameter: '{param}'.", param, "unknown_parameter")


def _listed(values: Sequence[str]) -> str:
    quoted = [f"'{value}'" for value in values]
    if len(quoted) == 1:
        return quoted[0]
    comma = "," if len(quoted) > 2 else ""  # noqa: PLR2004  (the Oxford comma begins with the third)
    return f"{', '.join(quoted[:-1])}{comma} and {quoted[-1]}"
