"""The commands `import` and `export`: open the store, do the work, tell how it went.

Must not be here: flags (`__main__`).
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gateway.domain.principal import Principal, Reach
from gateway.errors import InvalidSetting
from gateway.store.private_files import open_private
from gateway.store.revision import make_ready
from gateway.store.sql import opened_store
from gateway.store.staging import Staging
from gateway.transfer.exporting import export
from gateway.transfer.importing import Rejects, load, stage
from gateway.transfer.progress import shown, told
from gateway.transfer.reading import size_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.core import Store

T = TypeVar("T")


def run_import(database_url: str, project_id: str, sources: Sequence[str], rejects_file: str | None) -> bool:
    """Import all sources; say whether everything could be taken.

    Errors: OSError where a source cannot be opened; InvalidSetting where the rejects would write over a source;
    DatabaseBehind; Unavailable.
    """
    who = Principal(Reach(project_id))
    _refuse_to_write_over(sources, rejects_file)
    sizes = [size_of(source) for source in sources]
    asyncio.run(make_ready(database_url))
    with ExitStack() as stack:
        rejects = Rejects(stack.enter_context(open_private(Path(rejects_file))) if rejects_file else None)
        staging = stack.enter_context(Staging())
        with shown("Reading", None if None in sizes else sum(size or 0 for size in sizes)) as advance:
            spoilt = stage(sources, staging, rejects, advance)
        with shown("Adding messages") as advance:
            taken = asyncio.run(
                _with_store(database_url, lambda store: load(store, who, staging, rejects, advance, spoilt=spoilt))
            )
    told(
        f"Threads: {taken.threads}, messages: {taken.messages}, there before: {taken.known}, rejected: {rejects.count}."
    )
    return rejects.count == 0


def run_export(database_url: str, project_id: str, target: str) -> None:
    """Export everything to a file or standard output.

    Errors: OSError where the file cannot be written; DatabaseBehind; Unavailable.
    """
    who = Principal(Reach(project_id))
    asyncio.run(make_ready(database_url))
    with (
        click.open_file("-", "wb") if target == "-" else open_private(Path(target)) as out,
        shown("Messages") as advance,
    ):
        asyncio.run(_with_store(database_url, lambda store: export(store, who, out, advance)))


def _refuse_to_write_over(sources: Sequence[str], rejects_file: str | None) -> None:
    if rejects_file is None or not Path(rejects_file).exists():
        return
    for source in sources:
        if Path(source).exists() and Path(source).samefile(rejects_file):
            raise InvalidSetting(f"--rejects: expected another file than '{source}', which is to be imported.")


async def _with_store(database_url: str, work: Callable[[Store], Awaitable[T]]) -> T:
    async with opened_store(database_url) as store:
        return await work(store)
