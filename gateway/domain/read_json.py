"""Parsing of untrusted JSON: values, levels and the memory of strings are counted before any object is created.

A parser creates all objects of a text: a body of `[[],[],...]` takes sixty times its bytes in memory, and one
emoji makes each character of its string take four bytes.
Must not be here: validation of objects (`parse`); limits on bytes (`web.body`, `transfer`).
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from gateway.domain import bounds
from gateway.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK: Final = 128 * 1024  # bytes that are counted at a time; more where a string is longer
_SPACE: Final = b" \t\r\n"
_UNCUT: Final = re.compile(rb"[\s\[{]*")  # outside of strings no place to cut a text
_STEP: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes: a level down, a level up
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[{]}"))
# A text of a ninth of the bound on memory cannot exceed it: 4 bytes a character, and two strings for each value.
_UNCOUNTED: Final = 9
_STRING: Final = 50  # bytes that a string takes beside its characters, at least
# First bytes of characters that take two bytes in memory become 80, of those that take four FF, continuation bytes 01.
# Of the digits of an escape it matters only whether they begin a high surrogate; these become `d8`.
_WIDTHS: Final = bytes.maketrans(
    bytes(range(0x80, 0x100)) + b"D9abAB", b"\x01" * 64 + b"." * 4 + b"\x80" * 44 + b"\xff" * 16 + b"d88888"
)
NOT_JSON: Final = "invalid_json"  # the code of what is no JSON at all
LONE_SURROGATE: Final = "lone_surrogate"
NUMBER_TOO_LARGE: Final = "number_too_large"
_HALF: Final = "Invalid {}: expected complete characters, but a string has a lone surrogate, such as half of an emoji."
_INFINITE: Final = "Invalid {}: number too large. Expected numbers of at most 1.7e308."
_REASON: Final = (
    "Invalid {}: failed to parse JSON value. Please check the value to ensure it is valid JSON. "
    "(Common errors include trailing commas, missing closing brackets, missing quotation marks, etc.)"
)


class _Most(NamedTuple):
    values: int
    depth: int
    string: int
    memory: int | None


def read_json(
    text: bytes | str,
    name: str = "body",
    *,
    values: int = bounds.JSON_VALUES.number,
    depth: int = bounds.JSON_DEPTH.number,
    string: int = bounds.LINE.number,
    memory: int | None = bounds.JSON_MEMORY.number,
) -> Any:
    """Read JSON of at most so many values and levels; `name` is what it is called in a refusal.

    Units: `string` is the most bytes that one string may have, as it is written; `memory` the most bytes that all
    strings may take in memory, where some have characters above U+00FF.
    Errors: InvalidRequest.
    """
    # A level takes two bytes and a value one, so a typical message needs no counting.
    if len(text) > 2 * depth and (len(text) > values or _openings(text) > depth):
        written = text.encode("utf-8", "replace") if isinstance(text, str) else text
        _count(written, name, _Most(values, depth, string, memory))
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if error.msg.endswith("surrogate in string"):  # JSON by its grammar, as JavaScript writes a cut string
            raise InvalidRequest(_HALF.format(name), code=LONE_SURROGATE) from None
        if error.msg.startswith("number is infinity"):  # JSON by its grammar, too
            raise InvalidRequest(_INFINITE.format(name), code=NUMBER_TOO_LARGE) from None
        raise InvalidRequest(_REASON.format(name), code=NOT_JSON) from None


def _openings(text: bytes | str) -> int:
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    # Where there are few, removing them is faster than counting, which checks each byte on its own.
    return 2 * len(text) - len(text.replace(b"[", b"")) - len(text.replace(b"{", b""))


def _count(text: bytes, name: str, most: _Most) -> None:
    """Count outside of strings: `1 + commas + filled containers` is the number of values in valid JSON."""
    values, depth, string, _ = most
    is_wide = _may_be_wide(text, most.memory)
    if not is_wide and len(text) <= string and _openings(text) <= min(depth, values - text.count(b",") - 1):
        return
    if b"\\" in text:
        text = text.replace(b"\\\\", b".").replace(b'\\"', b".")
    if text.count(b'"') // 2 > 2 * values:  # each is a value or a key
        raise _too_many(name, values)
    found, kept, level = 1, 0, 0
    for strings, between in _blocks(text):
        if max(map(len, strings), default=0) > string:
            message = f"Invalid {name}: string too long. Expected at most {string} bytes in one string."
            raise InvalidRequest(message, code=bounds.JSON_STRING.code)
        kept += _in_memory(strings) if is_wide else 0
        if most.memory is not None and kept > most.memory:
            raise _too_large(name, most.memory)
        # Without white space, and with one quotation mark for each string.
        outside = b'"'.join(between).translate(None, _SPACE)
        found += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        found -= outside.count(b"[]") + outside.count(b"{}")
        if found > values:
            raise _too_many(name, values)
        levels = [*accumulate(bracket_steps(outside), initial=level)]
        if max(levels) > depth:
            message = f"Invalid {name}: nested too deep. Expected at most {depth} levels."
            raise InvalidRequest(message, code=bounds.JSON_DEPTH.code)
        level = levels[-1]


def _may_be_wide(text: bytes, memory: int | None) -> bool:
    """Check whether a text is long enough, and may have characters wide enough, to exceed the bound on memory."""
    if memory is None or len(text) <= memory // _UNCOUNTED:
        return False
    return not text.isascii() or (b"\\" in text and b"\\u" in text)  # one byte is found much faster than two


def _in_memory(strings: list[bytes]) -> int:
    """Sum up the bytes that strings take in memory, where the widest character of a string sets the width of all."""
    text = b'"'.join(strings).translate(_WIDTHS)
    if b"\\u" in text:
        text = text.replace(b"\\ud8", b"\\\xffd8").replace(b"\\u", b"\\\x80")
    taken = _STRING * len(strings) + _characters(text)
    if not text.isascii():
        wide = b'"'.join([each for each in text.split(b'"') if not each.isascii()])
        taken += _characters(wide)
        if b"\xff" in wide:
            taken += 2 * _characters(b"".join([each for each in wide.split(b'"') if b"\xff" in each]))
    return taken


def _characters(text: bytes) -> int:
    others = text.count(b"\x01") + text.count(b'"')
    if b"\\" in text:
        others += text.count(b"\\") + 4 * (text.count(b"\\\x80") + text.count(b"\\\xff"))
    return len(text) - others


def _blocks(text: bytes) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Cut a text into blocks of whole strings and the text between them, and never between two brackets."""
    begin, in_string = 0, False
    while begin < len(text):
        end = begin + _BLOCK
        ends_in_string = in_string != text.count(b'"', begin, end) % 2
        end = text.find(b'"', end) if ends_in_string else _next_cut(text, end)
        block = text[begin:end] if end >= 0 else text[begin:]
        pieces = block.split(b'"')
        yield pieces[not in_string :: 2], pieces[in_string::2]
        in_string = in_string != (len(pieces) % 2 == 0)
        if end >= 0 and text[end : end + 1] == b'"':
            begin, in_string = end + 1, not in_string
        else:
            begin = end if end >= 0 else len(text)


def _next_cut(text: bytes, begin: int) -> int:
    """Find where a text may be cut outside of strings: before a quotation mark or after another byte; -1 if nowhere."""
    found = _UNCUT.match(text, begin)
    end = found.end() if found else begin
    if end >= len(text):
        return -1
    return end if text[end : end + 1] == b'"' else end + 1


def bracket_steps(outside: bytes) -> memoryview:
    """Turn text outside of strings into a 1 for each bracket that opens and a -1 for each that closes."""
    return memoryview(outside.translate(_STEP, _NO_BRACKETS)).cast("b")


def _too_many(name: str, values: int) -> InvalidRequest:
    message = f"Invalid {name}: too many values. Expected at most {values} in one JSON text."
    return InvalidRequest(message, code=bounds.JSON_VALUES.code)


def _too_large(name: str, memory: int) -> InvalidRequest:
    message = (
        f"Invalid {name}: its strings take too much memory. Expected at most {memory} bytes, where an emoji makes "
        "each character of its string take four."
    )
    return InvalidRequest(message, code=bounds.JSON_MEMORY.code)
