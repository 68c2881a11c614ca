"""The commands `import` and `export`: open the store, do the work, report the result.

Must not be here: flags (`commands`).
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from gateway.cli.new_project import report_new_project
from gateway.cli.open_store import run_with_store
from gateway.cli.progress import shown
from gateway.core import erasing, projects
from gateway.domain.direction import Direction
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.errors import InvalidSetting
from gateway.store.files.private_files import open_private, written_whole
from gateway.store.staging import Staging
from gateway.transfer.exporter import export
from gateway.transfer.importer import Rejects, load, reject_incomplete_threads, stage
from gateway.transfer.reporting import report
from gateway.transfer.sources import size_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from gateway.core import Store
    from gateway.core.taken import Taken
    from gateway.events.exchange import Carrier


class Choices(NamedTuple):
    """The options of an import, named as their flags."""

    rejects: str | None = None
    order: str | None = None
    replace_deleted: bool = False
    beyond_bounds: bool = False


def run_import(
    database_url: str, project_id: str, sources: Sequence[str], choices: Choices, carrier: Carrier | None = None
) -> bool:
    """Import all sources and report the counts; return whether everything was imported.

    Errors: OSError where the rejects cannot be written; InvalidSetting where they would overwrite a source;
    DatabaseBehind; TemporaryFailed; Unavailable.
    """
    who = Principal(Reach(project_id))
    _refuse_to_write_over(sources, choices.rejects)
    sizes = [size_of(source) for source in sources]
    report_new_project(project_id, run_with_store(database_url, partial(projects.others_if_new, project_id=project_id)))
    with ExitStack() as stack:
        kept = stack.enter_context(_opened_rejects(choices.rejects)) if choices.rejects else None
        rejects = Rejects(kept, Direction(choices.order) if choices.order else None)
        staging = stack.enter_context(Staging())
        with shown("Reading", None if None in sizes else sum(size or 0 for size in sizes)) as advance:
            skipped = stage(sources, staging, rejects, advance, is_bounded=not choices.beyond_bounds)
        reject_incomplete_threads(staging, rejects)
        with shown("Adding messages") as advance:
            taken = run_with_store(
                database_url,
                lambda store: load(store, who, staging, rejects, advance, replace_deleted=choices.replace_deleted),
                carrier,
            )
    _sum_up(taken, rejects.count, skipped)
    return rejects.count == 0


def _sum_up(taken: Taken, rejected: int, skipped: Sequence[str]) -> None:
    if skipped:
        more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        report(f"Skipped, because it contains no object of the Assistants API: {skipped[0]}{more}.")
    if taken.deleted:
        left_out = f"{taken.deleted} threads with {taken.deleted_lines} messages, runs and steps"
        report(f"Deleted here earlier, not imported again without --replace-deleted: {left_out}.")
    counts = {"threads": taken.threads, "messages": taken.messages}
    further = {"runs": taken.runs, "steps": taken.steps, "assistants": taken.assistants}
    counts |= {name: count for name, count in further.items() if count}
    counts |= {"already present": taken.known, "rejected": rejected}
    report(", ".join(f"{name}: {count}" for name, count in counts.items()).capitalize() + ".")


def run_export(database_url: str, reach: Reach, target: str) -> None:
    """Export what can be reached to a file, which gets its name when it is complete, or to standard output.

    Errors: OSError where the file cannot be written; UnknownProject; DatabaseBehind; Unavailable.
    """
    who = Principal(reach)
    if run_with_store(database_url, partial(_is_nobody, reach=reach)):  # before the file is written over
        report(f"Nothing is exported: project '{reach.project_id}' has no thread of the owner '{reach.owner}'.")
    with (
        click.open_file("-", "wb") if target == "-" else written_whole(Path(target)) as out,
        shown("Messages") as advance,
    ):
        run_with_store(database_url, lambda store: export(store, who, out, advance))


async def _is_nobody(store: Store, reach: Reach) -> bool:
    """Require the project; say whether the export is of an owner who has no thread there.

    Errors: UnknownProject.
    """
    await projects.require(store, reach.project_id)
    if reach.owner is None:
        return False
    return await erasing.count(store, Principal(Reach(reach.project_id), KEY_SCOPES), reach.owner) == erasing.Erased()


def _opened_rejects(target: str) -> BinaryIO:
    return open_private(Path(target))  # its content stays until a line is rejected


def _refuse_to_write_over(sources: Sequence[str], rejects_file: str | None) -> None:
    if rejects_file is None or not Path(rejects_file).exists():
        return
    for source in sources:
        if Path(source).exists() and Path(source).samefile(rejects_file):
            raise InvalidSetting(f"--rejects: expected a file other than '{source}', which is imported.")
