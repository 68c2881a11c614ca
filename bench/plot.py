"""Figures as pictures (SVG), by matplotlib, which `pip install -e '.[bench]'` brings.

Must not be here: what figures there are (`figures`, `sizes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cases import GRAPHQL_20, GRAPHQL_100, GRAPHQL_CREATE, LIKE
from systems import OURS, SYSTEMS
from tables import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from curves import Curve
    from figures import Result, Summary

_WORKS: Final = (GRAPHQL_20, GRAPHQL_100, GRAPHQL_CREATE)
_OURS_COLOUR: Final = "#1f77b4"
_OTHERS_COLOUR: Final = "#b0b0b0"
_LABEL_ROOM: Final = 3.0  # to the right of the longest bar, on a scale of powers
_PLAIN: Final = {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 8}  # the same figures, the same file
_UNSIGNED: Final = {"Date": None, "Creator": None}


def draw_result(result: Result, file: Path) -> None:
    """Draw what a page and a creation cost each system: a row for each database, a bar for each system."""
    pyplot = _pyplot()
    databases = [each for each in result.databases() if result.systems(each)]
    with pyplot.rc_context(_PLAIN):
        figure, grid = pyplot.subplots(
            len(databases), len(_WORKS), figsize=(11, 0.6 + 2.1 * len(databases)), squeeze=False, layout="constrained"
        )
        for panels, database in zip(grid, databases, strict=True):
            for panel, work in zip(panels, _WORKS, strict=True):
                _draw_bars(panel, list(_bars(result, database, work)))
                panel.set_title(f"{NAMES[database]}: {work.removeprefix('GraphQL ')}")
        figure.supxlabel(
            "server's time on the processor, µs a request: median and spread; thousand instructions beside it"
        )
        figure.savefig(file, format="svg", metadata=_UNSIGNED)


def _bars(result: Result, database: str, work: str) -> Iterator[tuple[str, Summary]]:
    for system in reversed(result.systems(database)):
        for case, face in ((LIKE[work], "REST"), (work, "GraphQL")):
            found = result.summary(system, database, case)
            if found is not None:
                yield (f"ours, {face}" if system == OURS else SYSTEMS[system].told), found


def _draw_bars(panel: Any, bars: Sequence[tuple[str, Summary]]) -> None:
    middle = [each.cpu_ms.median * 1_000 for _, each in bars]
    below = [(each.cpu_ms.median - each.cpu_ms.least) * 1_000 for _, each in bars]
    above = [(each.cpu_ms.most - each.cpu_ms.median) * 1_000 for _, each in bars]
    colours = [_OURS_COLOUR if name.startswith(OURS) else _OTHERS_COLOUR for name, _ in bars]
    drawn = panel.barh([name for name, _ in bars], middle, xerr=[below, above], color=colours, error_kw={"lw": 0.8})
    kilo = [each.kilo_instructions for _, each in bars]
    panel.bar_label(drawn, ["" if each is None else f" {each:,.0f} k" for each in kilo], padding=3, fontsize=7)
    panel.set_xscale("log")
    panel.set_xlim(right=max(middle, default=1) * _LABEL_ROOM)


def draw_curves(curves: Sequence[Curve], file: Path) -> None:
    """Draw what becomes of cost as something grows, a panel for each."""
    pyplot = _pyplot()
    names = list(dict.fromkeys(each.name for each in curves))
    with pyplot.rc_context(_PLAIN):
        figure, grid = pyplot.subplots(
            1, len(names), figsize=(3.2 * len(names), 2.8), squeeze=False, layout="constrained"
        )
        for panel, name in zip(grid[0], names, strict=True):
            drawn = [each for each in curves if each.name == name]
            for curve in drawn:
                places, values = zip(*((point.size, point.value) for point in curve.points), strict=True)
                panel.plot(places, values, marker="o", markersize=3, label=f"{NAMES[curve.database]}, {curve.what}")
            panel.set(title=name, xlabel=drawn[0].of, ylabel=drawn[0].unit, xscale="log", yscale=drawn[0].scale)
            if drawn[0].scale == "linear":
                panel.set_ylim(bottom=0)
            panel.legend(fontsize=6)
        figure.savefig(file, format="svg", metadata=_UNSIGNED)


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
