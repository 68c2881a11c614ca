"""The command `assistants import`: read the API's own objects, add them, report what was not added.

Must not be here: flags (`commands`), how files are read (`transfer`), which fields an assistant has (`domain`).
"""

from __future__ import annotations

import sys

from gateway.cli.open_store import run_with_store
from gateway.core import run_transfer
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.domain.run import Assistant
from gateway.observability.audit import OPERATOR
from gateway.store.staging import Staging
from gateway.transfer.importer import Rejects, stage
from gateway.transfer.reporting import report


def run_import_assistants(database_url: str, project_id: str, source: str) -> None:
    """Add the assistants of a file, and exit with 1 where one of them is invalid.

    Errors: DatabaseBehind; Unavailable.
    """
    who = Principal(Reach(project_id), KEY_SCOPES, OPERATOR)
    rejects = Rejects(None)
    with Staging() as staging:
        stage([source], staging, rejects, lambda _size: None, only=Assistant)
        taken = run_with_store(database_url, lambda store: run_transfer.import_assistants(store, who, staging))
    report(f"Imported: {taken.assistants} assistants; {taken.known} were there already, {rejects.count} were rejected.")
    if rejects.count:
        sys.exit(1)
