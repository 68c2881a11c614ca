"""One JSON value after the other out of a stream, as bytes: only as much is held as one value has.

It finds where a value ends and does not look what is in it; whoever takes the value in parses it.
Must not be here: what a value means (`reading`).
"""

from __future__ import annotations

import re
from typing import IO, Final, NoReturn

_CHUNK: Final = 1024 * 1024
_BLANK: Final = re.compile(rb"(?:[\s,]|\xef\xbb\xbf)*+")  # commas between values, the mark that some put before UTF-8
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{}]', re.DOTALL)
_REST_OF_STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^\s,\[\]{}\":]*+")
_OPENING, _CLOSING, _QUOTE = b"[{", b"]}", b'"'


class BrokenError(Exception):
    """What comes is no JSON, or ends in the middle."""


class TooLongError(Exception):
    """A value was longer than it may be and was passed over."""


class Cutter:
    """A stream that is cut into values."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._held = b""
        self._at = 0
        self.passed = 0  # bytes that are not held any more

    def next_byte(self) -> bytes:
        """Look at the first byte of what comes next, behind blanks and commas; at the end there is none."""
        while True:
            self._at = _end(_BLANK, self._held, self._at)
            if self._at + 2 < len(self._held) or not self._read_on():
                return self._held[self._at : self._at + 1]

    def enter(self) -> None:
        """Step over the bracket that comes next."""
        self._at += 1

    def refuse(self) -> NoReturn:
        """Say that no value comes next which could be ours."""
        raise BrokenError

    def leave(self, closing: bytes) -> bool:
        """Say whether the bracket that comes next ends this container, and step over it."""
        found = self.next_byte()
        if not found:
            raise BrokenError
        if found == closing:
            self._at += 1
            return True
        if found in _CLOSING:
            raise BrokenError
        return False

    def key(self) -> bytes:
        """Take the key of a member of an object."""
        if self.next_byte() != _QUOTE:
            raise BrokenError
        key = self.value(_CHUNK)
        if self.next_byte() != b":":
            raise BrokenError
        self._at += 1
        return key

    def value(self, at_most: int | None) -> bytes:
        """Take the next value; a string, number or word by itself is one.

        Errors: TooLongError, and it is passed over; BrokenError.
        """
        first = self.next_byte()
        if not first or first in _CLOSING:
            raise BrokenError
        if first in _OPENING or first == _QUOTE:
            return self._nested(at_most)
        while (end := _end(_SCALAR, self._held, self._at)) == len(self._held):
            if end - self._at > _CHUNK or not self._read_on():
                break
        if not 0 < end - self._at <= _CHUNK:
            raise BrokenError
        return self._taken(end)

    def _nested(self, at_most: int | None) -> bytes:
        depth, look, is_too_long = 0, self._at, False
        while True:
            token = _TOKEN.search(self._held, look)
            if token is None:
                look = len(self._held)
            elif token[0] in _OPENING:
                depth, look = depth + 1, token.end()
            elif token[0] in _CLOSING:
                depth, look = depth - 1, token.end()
            else:
                look = token.end() if token[0] != _QUOTE else token.start()
            is_open = token is None or token[0] == _QUOTE
            if not is_open and depth == 0:
                break
            is_too_long = is_too_long or (at_most is not None and look - self._at > at_most)
            if is_open:
                if token is not None:
                    look, is_too_long = self._through_string(look + 1, at_most, is_too_long=is_too_long)
                    if depth == 0:
                        break
                else:
                    look = self._more(look, is_too_long=is_too_long)
        taken = self._taken(look)
        if is_too_long or (at_most is not None and len(taken) > at_most):
            raise TooLongError
        return taken

    def _through_string(self, look: int, at_most: int | None, *, is_too_long: bool) -> tuple[int, bool]:
        """Find the end of a string that is not held whole yet."""
        while True:
            look = _end(_REST_OF_STRING, self._held, look)
            if self._held[look : look + 1] == _QUOTE:
                return look + 1, is_too_long
            is_too_long = is_too_long or (at_most is not None and look - self._at > at_most)
            look = self._more(look, is_too_long=is_too_long)

    def _more(self, look: int, *, is_too_long: bool) -> int:
        """Read on, and forget what was looked at of a value that is too long; give where to look on."""
        if is_too_long:
            self.passed += look
            self._held, self._at, look = self._held[look:], 0, 0
        before = self._at
        if not self._read_on():
            raise BrokenError
        return look - before

    def _taken(self, end: int) -> bytes:
        taken = self._held[self._at : end]
        self._at = end
        return taken

    def _read_on(self) -> bool:
        # As much again as is held, so that one long value is not copied for each piece that is read.
        some = self._stream.read(max(_CHUNK, len(self._held) - self._at))
        if some:
            self.passed += self._at
            self._held, self._at = self._held[self._at :] + some, 0
        return bool(some)


def _end(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    """Find where what a pattern matches ends; these match nothing, too."""
    found = pattern.match(text, start)
    return start if found is None else found.end()
