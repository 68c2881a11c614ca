"""Read a dump of callgrind: instructions of each library.

Source: Valgrind's manual, "Callgrind Format Specification".
Must not be here: how callgrind is controlled (`count`).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_NAMED: Final = re.compile(r"\((\d+)\)(?: (.*))?")  # a name is written out once, and is a number from there on
_VERSIONED: Final = re.compile(r"(\.cpython-[^.]*|\.abi3)?\.so.*$")
_HERE: Final = "ob="
_THERE: Final = "cob="  # of what is called; its cost stands on the line behind `calls=`
_CALLS: Final = "calls="
_COST: Final = re.compile(r"[+*\d-]\S* (\d+)$")


def in_libraries(dump: Path) -> Counter[str]:
    """Sum the instructions of each library or program, by its short name."""
    names, found = dict[str, str](), Counter[str]()
    current, is_call = "", False
    with dump.open(errors="replace") as lines:
        for line in lines:
            if line.startswith(_HERE):
                current = _name(names, line.removeprefix(_HERE))
            elif line.startswith(_THERE):
                _name(names, line.removeprefix(_THERE))
            elif line.startswith(_CALLS):
                is_call = True
            elif cost := _COST.match(line.rstrip()):
                if not is_call:
                    found[current] += int(cost[1])
                is_call = False
    return found


def _name(names: dict[str, str], text: str) -> str:
    named = _NAMED.match(text)
    if named is None:
        return text.strip()
    number, path = named.groups()
    if path is not None:
        names[number] = _VERSIONED.sub("", path.rsplit("/", 1)[-1])
    return names[number]
