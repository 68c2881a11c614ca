"""Figures as pictures (SVG), by matplotlib, which `pip install -e '.[bench]'` brings.

Must not be here: results (`result`, `curves`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from bench.cases.names import CREATE, LIST, MIX, PAGE_20
from bench.report.tables import NAMES
from bench.systems.catalog import OURS, SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.report.curves import Curve
    from bench.report.result import Result, Summary

_WORKS: Final = (MIX, LIST, PAGE_20, CREATE)
_OURS_COLOUR: Final = "#1f77b4"
_OTHERS_COLOUR: Final = "#b0b0b0"
_LEAST_US: Final = 30  # where all bars begin: less than anything takes
_LABEL_ROOM: Final = 12.0  # to the right of the longest bar, on a scale of powers
_ACROSS: Final = 3  # panels
_ABOVE: Final = 1.4  # the highest point, so that the words have room
_PLAIN: Final = {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 8}  # the same figures, the same file
_UNSIGNED: Final = {"Date": None, "Creator": None}


def draw_result(result: Result, file: Path) -> None:
    """Draw the cost of reads and writes: a row for each database, a bar for each system."""
    pyplot = _pyplot()
    databases = [each for each in result.databases() if result.systems(each)]
    with pyplot.rc_context(_PLAIN):
        figure, grid = pyplot.subplots(
            len(databases), len(_WORKS), figsize=(18, 0.6 + 2.1 * len(databases)), squeeze=False, layout="constrained"
        )
        for panels, database in zip(grid, databases, strict=True):
            for panel, work in zip(panels, _WORKS, strict=True):
                _draw_bars(panel, list(_bars(result, database, work)))
                panel.set_title(f"{NAMES[database]}: {work}")
        figure.supxlabel(
            "server's time on the processor, µs a request: median and spread; thousand instructions beside it"
        )
        figure.savefig(file, format="svg", metadata=_UNSIGNED)


def _bars(result: Result, database: str, work: str) -> Iterator[tuple[str, Summary]]:
    for system in reversed(result.systems(database)):
        found = result.summary(system, database, work)
        if found is not None:
            yield SYSTEMS[system].description, found


def _draw_bars(panel: Any, bars: Sequence[tuple[str, Summary]]) -> None:
    middle = [each.cpu_ms.median * 1_000 for _, each in bars]
    below = [(each.cpu_ms.median - each.cpu_ms.least) * 1_000 for _, each in bars]
    above = [(each.cpu_ms.most - each.cpu_ms.median) * 1_000 for _, each in bars]
    colours = [_OURS_COLOUR if name.startswith(OURS) else _OTHERS_COLOUR for name, _ in bars]
    drawn = panel.barh([name for name, _ in bars], middle, xerr=[below, above], color=colours, error_kw={"lw": 0.8})
    kilo = [each.kilo_instructions for _, each in bars]
    panel.bar_label(drawn, ["" if each is None else f" {each:,.0f} k" for each in kilo], padding=3, fontsize=7)
    panel.set_xscale("log")
    panel.set_xlim(_LEAST_US, max(middle, default=_LEAST_US) * _LABEL_ROOM)


def draw_curves(curves: Sequence[Curve], file: Path) -> None:
    """Draw cost against size, a panel for each size that is varied."""
    pyplot = _pyplot()
    names = list(dict.fromkeys(each.name for each in curves))
    rows = math.ceil(len(names) / _ACROSS)
    with pyplot.rc_context(_PLAIN):
        figure, grid = pyplot.subplots(rows, _ACROSS, figsize=(11, 2.6 * rows), squeeze=False, layout="constrained")
        panels = list(grid.flat)
        for panel, name in zip(panels, names, strict=False):
            _draw_curves(panel, [each for each in curves if each.name == name])
        for panel in panels[len(names) :]:
            panel.set_axis_off()
        figure.savefig(file, format="svg", metadata=_UNSIGNED)


def _draw_curves(panel: Any, curves: Sequence[Curve]) -> None:
    """Draw the curves of one panel; sizes are on a logarithmic axis."""
    first = curves[0]
    for each in curves:
        sizes, values = zip(*((point.size, point.value) for point in each.points), strict=True)
        panel.plot(sizes, values, marker="o", markersize=3, label=f"{NAMES[each.database]}, {each.what}")
    panel.set(title=first.name, xlabel=first.of, ylabel=first.unit, xscale="log", yscale=first.scale)
    if first.scale == "linear":
        panel.set_ylim(0, max(point.value for each in curves for point in each.points) * _ABOVE)
    panel.legend(fontsize=6)


def _pyplot() -> Any:
    """Import matplotlib only where a picture is wanted.

    Errors: SystemExit where it is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib import pyplot as plt  # noqa: PLC0415
    except ImportError:
        raise SystemExit("--plot: matplotlib is not installed: pip install -e '.[bench]'") from None
    mpl.use("svg")
    return plt
