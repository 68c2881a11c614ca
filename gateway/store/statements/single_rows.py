"""Pure builders of statements that insert or update one row of any table, with given values.

Must not be here: those that compute their values (`messages`, `threads`, `runs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, update

from gateway.store.statements.access import within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Insert, Table, Update

    from gateway.domain.principal import Reach


def insert_row(table: Table, row: Mapping[str, Any]) -> Insert:
    """Insert a row, whose values are by the names of columns."""
    return insert(table).values(row)


def set_row(reach: Reach, table: Table, row_id: str, values: Mapping[str, Any]) -> Update:
    """Update columns of the row that has an id."""
    return update(table).where(within(table, reach), table.c.id == row_id).values(values)
