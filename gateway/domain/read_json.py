"""JSON from outside: how many values it holds, and how deep they stand, is counted before any object is built.

A parser makes objects of all that it reads, and a body of `[[],[],...]` takes sixty times its bytes in memory.
Must not be here: what an object may hold (`parse`); how many bytes are read (`web.body`, `transfer`).
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.domain import bounds
from gateway.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECES: Final = 100_000  # that a text is cut into at once
_SPACE: Final = b" \t\r\n"
_STEP: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes: a level down, a level up
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[{]}"))
NOT_JSON: Final = "invalid_json"  # the code where it is none at all
_REASON: Final = (
    "Invalid {}: failed to parse JSON value. Please check the value to ensure it is valid JSON. "
    "(Common errors include trailing commas, missing closing brackets, missing quotation marks, etc.)"
)


def read_json(
    text: bytes | str,
    name: str = "body",
    *,
    values: int = bounds.JSON_VALUES.number,
    depth: int = bounds.JSON_DEPTH.number,
    string: int = bounds.LINE.number,
) -> Any:
    """Read JSON of at most so many values and levels; `name` is what it is called in a refusal.

    Units: `string` is the most bytes that one string may have, as it is written.
    Errors: InvalidRequest.
    """
    # A level takes two bytes and a value one, so that of a typical message nothing is counted.
    if len(text) > 2 * depth and (len(text) > values or _openings(text) > depth):
        _count(text.encode("utf-8", "replace") if isinstance(text, str) else text, name, (values, depth, string))
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidRequest(_REASON.format(name), code=NOT_JSON) from None


def _openings(text: bytes | str) -> int:
    return text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")


def _count(text: bytes, name: str, most: tuple[int, int, int]) -> None:
    """Count what stands outside of strings: `1 + commas + filled containers` is the number of values in valid JSON."""
    values, depth, string = most
    if len(text) <= string and _openings(text) <= min(depth, values - text.count(b",") - 1):
        return
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = text.count(b'"') // 2
    if strings > 2 * values:  # each is a value or a key
        raise _too_many(name, values)
    found, brackets = 1, bytearray()
    for pieces in _pieces(text):
        if max(map(len, pieces[1::2]), default=0) > string:
            message = f"Invalid {name}: string too long. Expected at most {string} bytes in one string."
            raise InvalidRequest(message, code=bounds.JSON_STRING.code)
        # Without white space, and with one quotation mark for each string.
        outside = b'"'.join(pieces[::2]).translate(None, _SPACE)
        found += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        found -= outside.count(b"[]") + outside.count(b"{}")
        if found > values:
            raise _too_many(name, values)
        brackets += outside.translate(_STEP, _NO_BRACKETS)
    if _deepest(brackets, values) > depth:
        message = f"Invalid {name}: nested too deep. Expected at most {depth} levels."
        raise InvalidRequest(message, code=bounds.JSON_DEPTH.code)


def _pieces(text: bytes) -> Iterator[list[bytes]]:
    """Cut a text at its quotation marks, so many at once; every second piece is a string."""
    while text:
        *pieces, text = text.split(b'"', _PIECES)
        if len(pieces) < _PIECES:
            pieces, text = [*pieces, text], b""
        yield pieces


def _deepest(steps: bytearray, values: int) -> int:
    """Find how deep brackets stand; valid JSON closes no more than it opens, so a longer text is not looked through."""
    return max(accumulate(memoryview(steps)[: 2 * values].cast("b")), default=0)


def _too_many(name: str, values: int) -> InvalidRequest:
    message = f"Invalid {name}: too many values. Expected at most {values} in one JSON text."
    return InvalidRequest(message, code=bounds.JSON_VALUES.code)
