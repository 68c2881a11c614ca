"""Cost against size, as points.

Must not be here: how they are measured (`sizes`) or drawn (`plot`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bench.report.tables import NAMES, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Point:
    """A cost at one size."""

    size: int
    value: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A cost at several sizes; `of` names the size, `scale` the axis of the cost."""

    name: str
    database: str
    what: str
    of: str
    unit: str
    points: list[Point]
    scale: str = "linear"


def as_tables(curves: Sequence[Curve]) -> str:
    """Format curves as Markdown: a table for each varied size."""
    parts = []
    for name in dict.fromkeys(each.name for each in curves):
        drawn = [each for each in curves if each.name == name]
        sizes = sorted({point.size for each in drawn for point in each.points})
        heads = [drawn[0].of, *(f"{NAMES[each.database]}: {each.what}, {each.unit}" for each in drawn)]
        lines = [[f"{size:,}", *(_at(each, size) for each in drawn)] for size in sizes]
        parts.append(f"### {name}\n\n{table(heads, lines, words=0)}")
    return "\n\n".join(parts)


def write(curves: Sequence[Curve], facts: dict[str, str], file: Path) -> None:
    """Write curves as JSON."""
    kept = {"facts": facts, "curves": [asdict(each) for each in curves]}
    file.write_text(json.dumps(kept, indent=1) + "\n")


def _at(curve: Curve, size: int) -> str:
    found = [point.value for point in curve.points if point.size == size]
    return f"{found[0]:,.3g}" if found and found[0] < 1_000 else f"{found[0]:,.0f}" if found else "-"  # noqa: PLR2004  (three places)
