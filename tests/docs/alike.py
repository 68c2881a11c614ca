"""Whether what was printed is what a page shows, where ids, times and elisions stand for any.

Must not be here: how it came to be printed.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

# What differs each time: ids, secrets, times of day, figures of milliseconds.
_RANDOM: Final = re.compile(
    r"(?:thread|msg|key|req)_\w+|sk-\w+|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?|\.\.\."
)
_LEAST_TIME: Final = 1_000_000_000  # smaller numbers mean themselves


def pattern_of(shown: str) -> re.Pattern[str]:
    """Make a pattern of what a page shows."""
    parts: list[str] = []
    end = 0
    for found in _RANDOM.finditer(shown):
        parts += [re.escape(shown[end : found.start()]), _any_like(found[0])]
        end = found.end()
    return re.compile("".join([*parts, re.escape(shown[end:])]), re.DOTALL)


def _any_like(random: str) -> str:
    if random == "...":
        return ".*?"
    if random[0].isdigit():
        return r"[\dT:. -]+Z?"
    return re.escape(re.split("[_-]", random)[0]) + r"[_-]\w+"


def is_alike(shown: Any, printed: Any) -> bool:
    """Compare JSON: keys in their order, lists in full, random values by their kind."""
    if isinstance(shown, dict):
        same_keys = isinstance(printed, dict) and list(shown) == list(printed)
        return same_keys and all(is_alike(value, printed[key]) for key, value in shown.items())
    if isinstance(shown, list):
        same_length = isinstance(printed, list) and len(shown) == len(printed)
        return same_length and all(is_alike(*pair) for pair in zip(shown, printed, strict=True))
    if isinstance(shown, str):
        return isinstance(printed, str) and pattern_of(shown).fullmatch(printed) is not None
    if isinstance(shown, int) and not isinstance(shown, bool) and shown >= _LEAST_TIME:
        return isinstance(printed, int)
    return type(shown) is type(printed) and bool(shown == printed)


def last_json(printed: str) -> Any:
    """Read the last of several JSON texts that stand one after the other."""
    decoder, found, rest = json.JSONDecoder(), None, printed.strip()
    while rest:
        found, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip()
    return found
