"""The progress of an import or export, shown only at a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_INTERVAL_S: Final = 0.1


@contextmanager
def shown(task: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar during the block; it yields the function that advances the bar."""
    if not _is_watched():
        yield lambda _amount: None
        return
    # They take a tenth of the start of a command, and most commands run in a pipe.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(task, total=total)
        done, due = 0, 0.0

        def advance(amount: int) -> None:
            nonlocal done, due
            done += amount
            if monotonic() >= due:  # updating the bar costs more than a message
                progress.update(bar, completed=done)
                due = monotonic() + _INTERVAL_S

        yield advance


def _is_watched() -> bool:
    # Rich treats a pipe as a terminal where FORCE_COLOR is set, as in many CIs.
    return sys.stderr.isatty()
