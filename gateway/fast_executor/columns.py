"""The variables of objects in the source of a reader, and which columns of named tuples are read from them.

Must not be here: what is read (`codegen`).
"""

from __future__ import annotations

from keyword import iskeyword
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from gateway.fast_executor.hints import Columns

_COLUMN: Final = "<{}:{}>"  # of a row; its index is known when the whole source is generated


class ColumnsRead:
    """Collects the columns of named tuples that are read, by class."""

    def __init__(self) -> None:
        self._read: dict[type, set[str]] = {}
        self.is_known = True

    def add(self, own: type, name: str) -> None:
        """Add an attribute that is read; one that is no column may depend on all of them."""
        self._read.setdefault(own, set()).add(name)
        self.is_known = self.is_known and name in _columns_of(own)

    def in_order(self) -> Columns:
        """Return them in the order of the class's fields."""
        return {own: tuple(name for name in _columns_of(own) if name in read) for own, read in self._read.items()}


def _columns_of(own: type | None) -> tuple[str, ...]:
    columns: tuple[str, ...] = getattr(own, "_fields", ())
    return columns


class Source(NamedTuple):
    """The variable of an object, and its class if that is known; the object may be a row."""

    name: str
    own: type | None
    read: ColumnsRead
    is_row: bool = False

    def attribute(self, name: str) -> str:
        """Generate the expression of an attribute."""
        columns = _columns_of(self.own)
        if self.own is not None and columns:
            self.read.add(self.own, name)
        if name in columns:
            return f"{self.name}[{_COLUMN.format(id(self.own), name) if self.is_row else columns.index(name)}]"
        is_plain = name.isidentifier() and not iskeyword(name)
        return f"{self.name}.{name}" if is_plain else f"getattr({self.name}, {name!r})"
