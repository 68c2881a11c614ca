"""The use case of a project that an operator names: a mistyped one is empty, and nothing else would say so.

Must not be here: projects of callers, which their credentials name (`auth`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.domain.principal import Reach
from gateway.errors import UnknownProject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store

DEFAULT: Final = "default"
_LISTED: Final = 20


async def require(store: Store, project_id: str) -> None:
    """Require that a project exists; the default one does in an empty database.

    Errors: UnknownProject.
    """
    others = await others_if_new(store, project_id)
    if others or (others is not None and project_id != DEFAULT):
        raise UnknownProject(project_id, listed(others))


async def others_if_new(store: Store, project_id: str) -> list[str] | None:
    """Return the names of the other projects if this one does not exist, otherwise None."""
    async with store.read() as reads:
        if await reads.has_project(Reach(project_id).and_unfinished()):
            return None
        return await reads.list_projects()


def listed(names: Sequence[str]) -> str:
    """Write the names of some projects, or that there is none."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}" if names else "none"
