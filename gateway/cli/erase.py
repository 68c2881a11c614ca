"""The command `erase`: open the store, erase an end user, report the counts.

Must not be here: flags (`commands`), what is erased (`core.erasing`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from gateway.cli.open_store import run_with_store
from gateway.core import erasing
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.observability.audit import OPERATOR

if TYPE_CHECKING:
    from gateway.events.exchange import Carrier


def run_erase(database_url: str, project_id: str, owner: str, carrier: Carrier | None = None, *, is_dry: bool) -> None:
    """Erase an end user, or count what would be erased.

    Errors: DatabaseBehind; Unavailable.
    """
    who = Principal(Reach(project_id), KEY_SCOPES, OPERATOR)
    work = erasing.count if is_dry else erasing.erase
    erased = run_with_store(database_url, partial(work, who=who, owner=owner), carrier)
    click.echo(f"{'Would be erased' if is_dry else 'Erased'}: {erased.threads} threads, {erased.messages} messages.")
