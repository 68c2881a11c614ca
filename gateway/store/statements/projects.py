"""Pure builders of statements on projects, which have no table of their own: one exists where a row is of it.

Only an operator asks for those of others, by a command.
Must not be here: what belongs to a project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import exists, or_, select, union

from gateway.store.schema import tables
from gateway.store.statements.access import within

if TYPE_CHECKING:
    from sqlalchemy import CompoundSelect, Select

    from gateway.domain.principal import Reach

# All else is beside a row of these.
_TABLES: Final = (tables.keys, tables.threads, tables.deleted_threads, tables.assistants, tables.erased_owners)


def has_project(reach: Reach) -> Select[Any]:
    """Select whether anything is, or was, in the project of a caller."""
    return select(or_(*(exists().where(within(table, reach)) for table in _TABLES)))


def list_projects() -> CompoundSelect[Any]:
    """Select the names of all projects; it reads an index of each table."""
    return union(*(select(table.c.project_id) for table in _TABLES)).order_by("project_id")
