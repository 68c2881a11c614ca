"""A piece of text that was appended to a message in progress, and what it says about the next one.

Must not be here: how it is stored (`store`), when deltas become part of the content (`core.streaming`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from gateway.domain import bounds, validate
from gateway.domain.message import count_characters

if TYPE_CHECKING:
    from gateway.domain.message import Message


class Delta(NamedTuple):
    """Text that was appended to a message: the `number`th since its content was written, at `start` of one part.

    The next one begins at `next_start`, in UTF-16 code units as in JavaScript; `characters` are all of the message so
    far. Neither is known of a delta that an older version wrote.
    """

    number: int
    part_index: int
    start: int
    text: str
    next_start: int | None = None
    characters: int | None = None

    def followed_by(self, text: str) -> Delta:
        """Return the next delta, with this text.

        Errors: InvalidRequest where the message would grow too long.
        """
        start, characters = self.next_start or 0, (self.characters or 0) + len(text)
        validate.total(characters, "text", bounds.TEXT)
        return Delta(self.number + 1, self.part_index, start, text, start + utf16_length(text), characters)


NO_DELTA: Final = Delta(0, 0, 0, "", 0, 0)


def last_of(message: Message, last: Delta | None) -> Delta:
    """Return an equivalent of a message's last delta, where there is none or one without counters.

    Errors: InvalidRequest where a text would be one part too many.
    """
    parts = orjson.loads(message.content_json)
    characters = count_characters(parts)
    if last is not None:
        return last._replace(next_start=last.start + utf16_length(last.text), characters=characters)
    if parts and parts[-1]["type"] == "text":
        return Delta(0, len(parts) - 1, 0, "", utf16_length(parts[-1]["text"]["value"]), characters)
    validate.total(len(parts) + 1, "text", bounds.CONTENT_PARTS)
    return Delta(0, len(parts), 0, "", 0, characters)


def utf16_length(text: str) -> int:
    """Return the length of a text in UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)
