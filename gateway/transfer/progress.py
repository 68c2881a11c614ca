"""How far an import or export has come, for a person at a terminal; nothing is shown in a pipe."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def shown(task: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a bar for as long as the block; the function that it gives moves it on."""
    with Progress(console=Console(stderr=True), transient=True, disable=not _is_watched()) as progress:
        bar = progress.add_task(task, total=total)
        yield lambda amount: progress.advance(bar, amount)


def told(summary: str) -> None:
    """Say at the end what was done."""
    if _is_watched():
        Console(stderr=True).print(summary, highlight=False)


def _is_watched() -> bool:
    # Rich takes a pipe for a terminal where FORCE_COLOR is set, as many a CI does.
    return sys.stderr.isatty()
