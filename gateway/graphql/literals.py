"""The literals of a document: its text without them, and their values as variables of a request.

Documents that differ in literals alone share one (`documents.shapes`), in which strings and integers within arguments
are variables without a declaration, whose names no document can use.
Must not be here: syntax trees.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import Source, get_location
from graphql.execution.values import VariableValues

from gateway.domain import bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from graphql import GraphQLError

_MARKED: Final = "\x00"  # occurs in no text that is split
_IN_NAME: Final = "[0-9A-Za-z_.]"
_AFTER: Final = f"(?!{_IN_NAME})"
# Each alternative begins with a plain character, so that `re` skips all others in a quick loop.
_TOKENS: Final = re.compile(
    "|".join(
        [
            r'"""(?:[^"\\]|\\"""|\\|""?(?!"))*(?:""")?',
            r'"(?:[^"\\\x00-\x1f\ud800-\udfff]|\\[^\x00-\x1f\ud800-\udfff])*"',
            r'"',
            r"#[^\r\n]*",
            rf"-(?<!{_IN_NAME}-)(?:0|[1-9][0-9]*){_AFTER}",
            rf"0(?<!{_IN_NAME}0){_AFTER}",
            *(rf"{digit}(?<!{_IN_NAME}{digit})[0-9]*{_AFTER}" for digit in range(1, 10)),
        ]
    )
)


class Token(NamedTuple):
    """A string or an integer of a document."""

    start: int
    text: str

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.text)


class Split(NamedTuple):
    """A document without its literals, as a key that is the text of none, and its literals."""

    common: bytes
    tokens: Sequence[Token]


def split(text: str) -> Split | None:
    """Extract the strings and integers of a document; None if there are none or too many, or it is unusual."""
    parts: list[str] = []
    tokens: list[Token] = []
    at = 0
    for found in _TOKENS.finditer(text):
        literal = found[0]
        if literal.startswith(('"""', "#")):
            continue
        if literal == '"':
            return None
        parts += (text[at : found.start()], _MARKED, '"' if literal[0] == '"' else "0")
        tokens.append(Token(found.start(), literal))
        if len(tokens) > bounds.TOKENS.number:
            return None
        at = found.end()
    if not tokens or _MARKED in text:
        return None
    parts.append(text[at:])
    return Split("".join(parts).encode("utf-8", "surrogatepass"), tokens)


class Literals(NamedTuple):
    """The literals of one document of a shape."""

    common: bytes
    shape: object
    text: str
    values: dict[str, Any]

    def added_to(self, variables: VariableValues) -> VariableValues:
        """Add the literals to the variables of a request."""
        return VariableValues(variables.sources, variables.coerced | self.values)

    def locate(self, errors: Iterable[GraphQLError]) -> None:
        """Replace the locations of errors in the first document of the shape by those in this one."""
        for error in errors:
            if error.source and error.positions:
                moved = _moves(error.source.body, self.text)
                error.locations = [get_location(Source(self.text), moved(each)) for each in error.positions]


def _moves(before: str, after: str) -> Callable[[int], int]:
    """Make the function that maps positions outside of literals."""
    old, new = split(before), split(after)
    assert old is not None  # noqa: S101  (both have been split before)
    assert new is not None  # noqa: S101
    starts = [each.start for each in old.tokens]

    def moved(position: int) -> int:
        index = bisect_right(starts, position) - 1
        if index < 0:
            return position
        was, now = old.tokens[index], new.tokens[index]
        return now.start if position == was.start else now.end + position - was.end

    return moved
