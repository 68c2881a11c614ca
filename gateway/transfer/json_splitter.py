"""Splitting a stream into JSON values, as bytes: no more than one value is held in memory.

It finds where a value ends, and leaves parsing to the caller.
Must not be here: what a value means (`sources`).
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import IO, TYPE_CHECKING, Final, NoReturn

from gateway.domain import bounds
from gateway.domain.read_json import bracket_steps

if TYPE_CHECKING:
    from gateway.domain.bounds import Bound

_CHUNK: Final = 1024 * 1024
_BEGIN: Final = 64 * 1024  # bytes kept of a value that is skipped
_BLOCK: Final = 16 * 1024  # bytes that are skipped at a time
_BLANK: Final = re.compile(rb"(?:[\s,]|\xef\xbb\xbf)*+")  # commas between values, and a byte order mark
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{}]', re.DOTALL)
_MARK: Final = re.compile(rb'["\[\]{}]')
_REST_OF_STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^\s,\[\]{}\":]*+")
_OPENING, _CLOSING, _QUOTE = b"[{", b"]}", b'"'


class InvalidJsonError(Exception):
    """The stream is not JSON, or is truncated."""


class TooLargeError(Exception):
    """A value exceeded a bound and was skipped; `begin` is its beginning."""

    def __init__(self, bound: Bound, begin: bytes) -> None:
        super().__init__(bound.name)
        self.bound = bound
        self.begin = begin


class JsonSplitter:
    """A stream that is split into values."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._held = b""
        self._at = 0
        self.passed = 0  # bytes that are no longer held

    def next_byte(self) -> bytes:
        """Return the next byte after white space and commas, without taking it; empty at the end."""
        while True:
            self._at = _end(_BLANK, self._held, self._at)
            if self._at + 2 < len(self._held) or not self._read_on():
                return self._held[self._at : self._at + 1]

    def enter(self) -> None:
        """Take the next bracket."""
        self._at += 1

    def refuse(self) -> NoReturn:
        """Raise the error for a value that cannot be an object of the API."""
        raise InvalidJsonError

    def leave(self, closing: bytes) -> bool:
        """Take the bracket that ends this container; False if a value comes first."""
        found = self.next_byte()
        if not found:
            raise InvalidJsonError
        if found == closing:
            self._at += 1
            return True
        if found in _CLOSING:
            raise InvalidJsonError
        return False

    def key(self) -> bytes:
        """Take the key of a member of an object."""
        if self.next_byte() != _QUOTE:
            raise InvalidJsonError
        key = self.value(_CHUNK)
        if self.next_byte() != b":":
            raise InvalidJsonError
        self._at += 1
        return key

    def value(self, at_most: int | None = None, values: int | None = None) -> bytes:
        """Take the next value, of at most so many bytes and values; it may be a scalar.

        Errors: TooLargeError, after the value was skipped; InvalidJsonError.
        """
        first = self._first()
        if first in _OPENING:
            return self._container(at_most, values)
        if first == _QUOTE:
            return self._string(at_most)
        while (end := _end(_SCALAR, self._held, self._at)) == len(self._held):
            if end - self._at > _CHUNK or not self._read_on():
                break
        if not 0 < end - self._at <= _CHUNK:
            raise InvalidJsonError
        return self._taken(end)

    def skip(self) -> None:
        """Skip the next value without holding it.

        Errors: InvalidJsonError.
        """
        first = self._first()
        if first == _QUOTE or first in _OPENING:
            self._at += 1
            self._skip(int(first != _QUOTE), in_string=first == _QUOTE)
        else:
            self.value()

    def skip_rest(self) -> None:
        """Skip the rest of a container that was entered, with its closing bracket.

        Errors: InvalidJsonError.
        """
        self._skip(1, in_string=False)

    def _first(self) -> bytes:
        first = self.next_byte()
        if not first or first in _CLOSING:
            raise InvalidJsonError
        return first

    def _container(self, at_most: int | None, values: int | None) -> bytes:
        depth, opened, look = 0, 0, self._at
        while True:
            token = _TOKEN.search(self._held, look)
            in_string = token is not None and token[0] == _QUOTE  # its end has not been read yet
            look = len(self._held) if token is None else token.end()
            if token is not None and token[0] in _OPENING:
                depth, opened = depth + 1, opened + 1
            elif token is not None and token[0] in _CLOSING:
                depth -= 1
            reached = len(self._held) if in_string else look
            if at_most is not None and reached - self._at > at_most:
                self._refuse(bounds.LINE, look, depth, in_string=in_string)
            if values is not None and opened > values:
                self._refuse(bounds.LINE_VALUES, look, depth, in_string=in_string)
            if token is None or in_string:
                look = self._more(look - in_string)
            elif depth == 0:
                return self._taken(look)

    def _string(self, at_most: int | None) -> bytes:
        look = self._at + 1
        while True:
            look = _end(_REST_OF_STRING, self._held, look)
            is_whole = self._held[look : look + 1] == _QUOTE
            if at_most is not None and look + is_whole - self._at > at_most:
                self._refuse(bounds.LINE, look + is_whole, 0, in_string=not is_whole)
            if is_whole:
                return self._taken(look + 1)
            look = self._more(look)

    def _refuse(self, bound: Bound, look: int, depth: int, *, in_string: bool) -> NoReturn:
        begin = self._held[self._at : min(look, self._at + _BEGIN)]
        self._at = look
        self._skip(depth, in_string=in_string)
        raise TooLargeError(bound, begin)

    def _skip(self, depth: int, *, in_string: bool) -> None:
        """Skip the rest of a value from this depth on, a block at a time."""
        while depth or in_string:
            block = self._held[self._at : self._at + _BLOCK]
            if (len(block) - len(block.rstrip(b"\\"))) % 2:  # the escaped byte is in the next block
                block = block[:-1]
            if block:
                block = block.replace(b"\\\\", b"..").replace(b'\\"', b"..")
                passed, depth, in_string = _passed(block, depth, in_string=in_string)
                self._at += passed
            elif not self._read_on():
                raise InvalidJsonError

    def _more(self, look: int) -> int:
        """Read more, and return where to continue."""
        before = self._at
        if not self._read_on():
            raise InvalidJsonError
        return look - before

    def _taken(self, end: int) -> bytes:
        taken = self._held[self._at : end]
        self._at = end
        return taken

    def _read_on(self) -> bool:
        # Double what is held, so that a long value is not copied for each piece that is read.
        some = self._stream.read(max(_CHUNK, len(self._held) - self._at))
        if some:
            self.passed += self._at
            self._held, self._at = self._held[self._at :] + some, 0
        return bool(some)


def _end(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    """Return the end of a pattern's match, which may be empty."""
    found = pattern.match(text, start)
    return start if found is None else found.end()


def _passed(block: bytes, depth: int, *, in_string: bool) -> tuple[int, int, bool]:
    """Find how far a value extends in a block without escapes, and the depth there; 0 within a string."""
    if depth == 0:
        end = block.find(_QUOTE)
        return (len(block), 0, True) if end < 0 else (end + 1, 0, False)
    pieces = block.split(_QUOTE)
    levels = [*accumulate(bracket_steps(b"".join(pieces[in_string::2])), initial=depth)]
    if min(levels) > 0:
        return len(block), levels[-1], in_string != (len(pieces) % 2 == 0)
    for mark in _MARK.finditer(block):
        if mark[0] == _QUOTE:
            in_string = not in_string
        elif not in_string:
            depth += 1 if mark[0] in _OPENING else -1
        if depth == 0:
            return mark.end(), 0, False
    return len(block), depth, in_string
