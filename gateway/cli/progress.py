"""How far an import or export has come, for a person at a terminal; nothing is shown in a pipe."""

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
    """Show a bar for as long as the block; the function that it gives moves it on."""
    if not _is_watched():
        yield lambda _amount: None
        return
    # A tenth of the start of a command, which most run in a pipe.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(task, total=total)
        done, due = 0, 0.0

        def advance(amount: int) -> None:
            nonlocal done, due
            done += amount
            if monotonic() >= due:  # the bar costs more than a message does, and nobody sees it move so often
                progress.update(bar, completed=done)
                due = monotonic() + _INTERVAL_S

        yield advance


def _is_watched() -> bool:
    # Rich takes a pipe for a terminal where FORCE_COLOR is set, as many a CI does.
    return sys.stderr.isatty()
