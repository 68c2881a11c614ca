"""Pieces of JSON in the source of a reader, and how they become expressions of type bytes.

Must not be here: which pieces a value has (`codegen`).
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import NamedTuple


class Piece(NamedTuple):
    """A piece of JSON: the inside of an f-string, or an expression of type bytes."""

    text: str
    is_bytes: bool = False


def as_bytes(pieces: list[Piece]) -> str:
    """Generate pieces of JSON as a comma-separated list of bytes; adjacent texts become one string."""
    groups = [
        (is_bytes, [piece.text for piece in own]) for is_bytes, own in groupby(pieces, key=attrgetter("is_bytes"))
    ]
    return ", ".join(", ".join(texts) if is_bytes else _encoded("".join(texts)) for is_bytes, texts in groups)


def _encoded(text: str) -> str:
    """Generate the inside of an f-string as bytes; without replacement fields it becomes a literal."""
    plain = text.replace("{{", "").replace("}}", "")
    return f"f'{text}'.encode()" if "{" in plain else repr(text.replace("{{", "{").replace("}}", "}").encode())
