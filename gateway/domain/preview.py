"""The preview of a message: the beginning of its text in one line.

Must not be here: which message of a thread is shown (`core`, `graphql`).
"""

from __future__ import annotations

import unicodedata
from typing import Final

import orjson

from gateway.domain.message import SIMPLE_BEGIN, SIMPLE_END, parse_content

_BEGIN: Final = len(SIMPLE_BEGIN)
_AROUND: Final = len(SIMPLE_BEGIN + SIMPLE_END)
_PLAIN: Final = slice(len(SIMPLE_BEGIN) - 1, 1 - len(SIMPLE_END))  # the JSON string of a content that is one text
_READ: Final = 20_000  # characters of a text; more would only be white space
_JOINER: Final = "\u200d"
_MODIFIERS: Final = range(0x1F3FB, 0x1F400)  # of the colour of skin
_TAGS: Final = range(0xE0020, 0xE0080)
_FLAGS: Final = range(0x1F1E6, 0x1F200)  # two letters are one flag
_JAMO: Final = range(0x1160, 0x1200)  # vowels and finals of a syllable of Hangul


def preview_of(content_json: bytes, plain_text: int | None, length: int) -> str:
    """Return the first text part of a message with its white space folded, cut between visible characters.

    Errors: AnswerTooLarge, as of `message.parse_content`.
    """
    most = length + length // 4  # usually enough; folding a long text takes long
    if plain_text == 1 and len(content_json) >= most + _AROUND:
        begun = content_json[_BEGIN : _BEGIN + most]
        shown = begun.decode().strip() if begun.isascii() else ""
        if len(shown) > length and "  " not in shown and "\\" not in shown:  # it has no escapes, and is folded already
            return f"{shown[:length].rstrip()}…"
    text: str
    if plain_text == 1:
        text = orjson.loads(content_json[_PLAIN])
    else:
        text = next((part["text"]["value"] for part in parse_content(content_json) if part["type"] == "text"), "")
    folded = " ".join(text[:most].split())
    if len(folded) <= length and len(text) > most:
        folded = " ".join(text[:_READ].split())
    if len(folded) <= length and len(text) <= _READ:
        return folded
    return f"{folded[: _border(folded, length)].rstrip()}…"


def _border(text: str, length: int) -> int:
    """Find the last border between grapheme clusters; a cluster that exceeds the whole length is cut.

    Source: Unicode Standard Annex 29, rules GB6 to GB13, for text as people write it.
    """
    if text.isascii():
        return length
    end = length
    while end and end < len(text) and _is_joined(text, end):
        end -= 1
    return end or length


def _is_joined(text: str, at: int) -> bool:
    before, after = text[at - 1], ord(text[at])
    if after in _FLAGS and ord(before) in _FLAGS:
        letters = at - len(text[:at].rstrip("".join(map(chr, _FLAGS))))
        return letters % 2 == 1
    extends = unicodedata.category(text[at]).startswith("M") or text[at] == _JOINER
    return extends or before == _JOINER or after in _MODIFIERS or after in _TAGS or after in _JAMO
