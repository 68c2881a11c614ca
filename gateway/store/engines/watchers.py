"""Counting statements on the request that runs them, and watching them.

Must not be here: what is done with the counts and spans (`observability`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.observability.record import NOTHING, current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    OnEnd = Callable[[BaseException | None], None]
    OnBegin = Callable[[str, str], OnEnd | None]  # the database's name and the statement; None to ignore the end


class Watchers:
    """What is called at the start of each statement of a database; what that returns is called at the end."""

    def __init__(self, database: str) -> None:
        self._database = database
        self.on_begin: list[OnBegin] = []

    def watch(self, *statements: str) -> AbstractContextManager[object]:
        """Count statements on the request that runs, and report them for the duration of the block."""
        if record := current.get():
            record.statements += len(statements)
        return self._report(statements) if self.on_begin else NOTHING

    @contextmanager
    def _report(self, statements: tuple[str, ...]) -> Iterator[None]:
        begun = [on_begin(self._database, each) for each in statements for on_begin in self.on_begin]
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            for on_end in begun:
                if on_end is not None:
                    on_end(error)
