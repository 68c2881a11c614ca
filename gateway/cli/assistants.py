"""The command `assistants import`: read the API's own objects, add them, report what was not added.

Must not be here: flags (`commands`), how files are read (`transfer`), which fields an assistant has (`domain`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gateway.cli.new_project import report_new_project
from gateway.cli.open_store import run_with_store
from gateway.core import projects, run_transfer
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.domain.run import Assistant
from gateway.observability.audit import OPERATOR
from gateway.store.staging import Staging
from gateway.transfer.importer import Rejects, stage
from gateway.transfer.reporting import report

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.core.taken import Taken


def run_import_assistants(database_url: str, project_id: str, source: str) -> None:
    """Add the assistants of a file, and exit with 1 where one of them is invalid.

    Errors: DatabaseBehind; Unavailable.
    """
    who = Principal(Reach(project_id), KEY_SCOPES, OPERATOR)
    rejects = Rejects(None)
    with Staging() as staging:
        stage([source], staging, rejects, lambda _size: None, only=Assistant)

        async def work(store: Store) -> tuple[list[str] | None, Taken]:
            others = await projects.others_if_new(store, project_id)
            return others, await run_transfer.import_assistants(store, who, staging)

        others, taken = run_with_store(database_url, work)
    report_new_project(project_id, others)
    report(f"Imported: {taken.assistants} assistants; {taken.known} were there already, {rejects.count} were rejected.")
    if rejects.count:
        sys.exit(1)
