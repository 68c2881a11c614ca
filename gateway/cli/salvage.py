"""The command `export --salvage`: export what can be read of a damaged SQLite file, and report what is lost.

Must not be here: flags (`commands`), how a damaged file is read (`maintenance.salvage`), the export (`transfer`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.cli.transfer import run_export
from gateway.store.files.database_files import sqlite_file, url_of
from gateway.store.maintenance.salvage import salvage
from gateway.store.schema.migrate import migrate
from gateway.store.temporary import temporary_folder
from gateway.transfer.reporting import report

if TYPE_CHECKING:
    from gateway.domain.principal import Reach
    from gateway.store.maintenance.salvage import Gap, Salvaged

_MOST: Final = 20  # gaps that are listed


def run_salvage(database_url: str, reach: Reach, target: str) -> bool:
    """Export what can be read, and return whether that is all.

    Errors: InvalidSetting; UnknownProject; DatabaseDamaged where nothing can be read; TemporaryFailed; OSError.
    """
    file = sqlite_file(database_url)
    with temporary_folder("salvage") as folder:
        copy = folder / "salvaged.db"
        asyncio.run(migrate(url_of(copy)))
        found = salvage(file, copy)
        _report(found)
        run_export(url_of(copy), reach, target)
    return not (found.gaps or found.disordered or found.inferred or found.is_list_lost)


def _report(found: Salvaged) -> None:
    for gap in found.gaps[:_MOST]:
        report(f"{gap.table}: {_rows(gap)} cannot be read: {gap.reason}")
    if len(found.gaps) > _MOST:
        report(f"... and {len(found.gaps) - _MOST} more.")
    if found.is_list_lost:
        report("The list of tables is damaged; they were found by their pages, so more rows may be missing.")
    for table in sorted(found.disordered):
        report(f"{table}: the pages are in another order, so more rows may be missing.")
    counts = ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in found.rows.items())
    report(f"Read of all projects: {counts}, threads inferred from their messages: {found.inferred}.")


def _rows(gap: Gap) -> str:
    if gap.first == gap.last:
        return f"row {gap.first}"
    return f"rows {gap.first} to {gap.last}" if gap.last < 1 << 62 else f"what follows row {gap.first - 1}"
