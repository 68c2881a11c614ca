"""Pure builders of statements on assistants, which belong to a project as a whole.

Must not be here: the runs that they are chosen for (`runs`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, exists, select, update

from gateway.store.schema import tables
from gateway.store.statements import page_bytes
from gateway.store.statements.paging import any_row, paged, past_cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Delete, ScalarSelect, Select, Update
    from sqlalchemy.sql.dml import ReturningDelete

    from gateway.domain.page import PageRequest
    from gateway.domain.principal import Reach

# In the order of the fields of `domain.run.Assistant`.
ASSISTANT_COLUMNS: Final = (tables.assistants.c.id, tables.assistants.c.created_at, tables.assistants.c.fields)
_BY_NUMBER: Final = (tables.assistants.c.number, tables.assistants.c.id)


def get_assistants(reach: Reach, assistant_ids: Sequence[str]) -> Select[Any]:
    """Select assistants by their ids, in no order."""
    return select(*ASSISTANT_COLUMNS).where(_of_project(reach), tables.assistants.c.id.in_(assistant_ids))


def list_assistants(reach: Reach, page: PageRequest) -> Select[Any]:
    """Select one page of a project's assistants, and one row more.

    Shape: ASSISTANT_COLUMNS, the number, and BYTES.
    """
    own = tables.assistants.c
    stored = page_bytes.of_texts(own.fields)
    listed = select(*ASSISTANT_COLUMNS, own.number, stored).where(_of_project(reach))
    return paged(listed, _BY_NUMBER, page, partial(place_of_assistant, reach))


def any_assistant_from(reach: Reach, cursor: str, up: bool) -> Select[Any]:
    """Select whether an assistant is at a cursor or past it."""
    bound = past_cursor(_BY_NUMBER, place_of_assistant(reach, cursor), up=up, inclusive=True)
    return any_row(select(tables.assistants.c.number).where(_of_project(reach), bound), _BY_NUMBER, up=up)


def place_of_assistant(reach: Reach, assistant_id: str) -> ScalarSelect[Any]:
    """Find where an assistant stands in the list."""
    cursor = tables.assistants.alias("cursor")
    found = select(cursor.c.number, cursor.c.id).where(
        cursor.c.project_id == reach.project_id, cursor.c.id == assistant_id
    )
    return found.scalar_subquery()


def has_assistant(reach: Reach, assistant_id: str) -> Select[Any]:
    """Select whether an assistant exists."""
    return select(exists().where(_of_project(reach), tables.assistants.c.id == assistant_id))


def set_assistant(reach: Reach, assistant_id: str, fields: str) -> Update:
    """Update an assistant."""
    return (
        update(tables.assistants)
        .where(_of_project(reach), tables.assistants.c.id == assistant_id)
        .values(fields=fields)
    )


def remove_assistant(reach: Reach, assistant_id: str) -> ReturningDelete[Any]:
    """Delete an assistant; one row, or none where it does not exist."""
    own = tables.assistants
    gone: Delete = delete(own).where(_of_project(reach), own.c.id == assistant_id)
    return gone.returning(own.c.id)


def _of_project(reach: Reach) -> ColumnElement[bool]:
    return tables.assistants.c.project_id == reach.project_id
