"""The command `erase`: open the store, erase an end user, report the counts.

Must not be here: flags (`commands`), what is erased (`core.erasing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gateway.cli.open_store import run_with_store
from gateway.core import erasing, projects
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.observability.audit import OPERATOR

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.events.exchange import Carrier


def run_erase(database_url: str, project_id: str, owner: str, carrier: Carrier | None = None, *, is_dry: bool) -> None:
    """Erase an end user, or count what would be erased.

    Errors: UnknownProject; DatabaseBehind; Unavailable.
    """
    who = Principal(Reach(project_id), KEY_SCOPES, OPERATOR)
    use = erasing.count if is_dry else erasing.erase

    async def work(store: Store) -> erasing.Erased:
        await projects.require(store, project_id)
        return await use(store, who, owner)

    erased = run_with_store(database_url, work, carrier)
    click.echo(f"{'Would be erased' if is_dry else 'Erased'}: {erased.threads} threads, {erased.messages} messages.")
