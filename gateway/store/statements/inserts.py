"""The pure builder of a statement that inserts one row into any table.

Must not be here: inserts that compute their values (`messages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Insert, Table


def insert_row(table: Table, row: Mapping[str, Any]) -> Insert:
    """Insert a row, whose values are by the names of columns."""
    return insert(table).values(row)
