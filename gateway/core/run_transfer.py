"""The use cases of import and export that move runs, their steps and assistants.

Each object is imported or refused on its own: a thread is complete without its runs, and a corrected run can be
imported later, after the existing ones.
Must not be here: threads and messages (`transfer`); files, lines, reports about them (the layer above).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.core import assistants
from gateway.core.paging import all_pages
from gateway.core.taken import RefusedLine, Taken, answered_by
from gateway.domain import archive_runs, wire
from gateway.domain.idempotency import Kind
from gateway.domain.page import Order, PageRequest
from gateway.domain.run import Assistant, Run, RunStep
from gateway.store.runs import RunWrites

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal, Reach
    from gateway.store.staged_runs import RunLine
    from gateway.store.staging import Staging

_PAGE: Final = PageRequest(limit=100, order=Order.ASC)


async def import_runs(
    store: Store, reach: Reach, staging: Staging, thread_ids: Sequence[ThreadId], taken: Taken
) -> None:
    """Add the staged runs and steps of threads that were imported, in batches, then the idempotency keys of the runs.

    What exists stays as it is.
    """
    for batch in staging.runs.lines(thread_ids):
        found = [(line, archive_runs.read(wire.load(line.raw))) for line in batch]
        of_runs = [(line, each) for line, each in found if isinstance(each, Run | RunStep)]
        await store.write(partial(_add, reach=reach, of_runs=of_runs, taken=taken))
    for keys in staging.keys(*thread_ids):
        if own := [each for each in keys if each.kind is Kind.RUN]:
            await store.write(partial(RunWrites.restore_keys, reach=reach, keys=own))


async def _add(
    transaction: RunWrites, reach: Reach, of_runs: Sequence[tuple[RunLine, Run | RunStep]], taken: Taken
) -> None:
    await transaction.lock_imports()
    ends = await transaction.lock_ends(reach, sorted({each.thread_id for _, each in of_runs}))
    run_ids = {each.id if isinstance(each, Run) else each.run_id for _, each in of_runs}
    threads = await transaction.known_runs(reach, sorted(run_ids))
    holders = await transaction.known_steps(reach, [each.id for _, each in of_runs if isinstance(each, RunStep)])
    positions = {thread_id: end.position for thread_id, end in ends.items()}
    runs: list[Run] = []
    steps: list[RunStep] = []
    for line, each in of_runs:
        known, own = (threads, each.thread_id) if isinstance(each, Run) else (holders, each.run_id)
        if each.thread_id not in ends:  # the thread was deleted
            taken.deleted_lines += 1
            continue
        if known.get(each.id) == own:
            taken.known += 1
            continue
        reason = _why_not(each, threads, holders, ends[each.thread_id].active_run)
        if reason is not None:
            taken.refused_lines.append(RefusedLine(line, reason))
            continue
        known[each.id] = own
        positions[each.thread_id] += 1
        if isinstance(each, Run):
            runs.append(each._replace(position=positions[each.thread_id]))
        else:
            steps.append(each._replace(position=positions[each.thread_id]))
    grown = {each.thread_id for each in runs} | {each.thread_id for each in steps}
    moved = {thread_id: positions[thread_id] for thread_id in sorted(grown)}
    if moved:
        await transaction.import_runs(reach, runs, steps, moved)
    taken.runs += len(runs)
    taken.steps += len(steps)


def _why_not(
    each: Run | RunStep, threads: dict[str, str], holders: dict[str, str], active_run: str | None
) -> str | None:
    """Return the reason why a new run or step cannot be added, if there is one."""
    holder = (threads if isinstance(each, Run) else holders).get(each.id)
    if holder is not None:
        return f"'{each.id}' belongs to '{holder}' already."
    if isinstance(each, RunStep) and threads.get(each.run_id) != each.thread_id:
        return f"'{each.thread_id}' has no run '{each.run_id}': import that first, or with its steps."
    return None if active_run is None else answered_by(each.thread_id, active_run)


async def import_assistants(store: Store, who: Principal, staging: Staging) -> Taken:
    """Add the staged assistants; what exists stays as it is."""
    taken = Taken()
    for batch in staging.runs.assistants():
        found = [archive_runs.read(wire.load(line.raw)) for line in batch]
        given = [each for each in found if isinstance(each, Assistant)]
        added = await assistants.add_all(store, who, given)
        taken.assistants += added
        taken.known += len(given) - added
    return taken


async def export_assistants(store: Store, who: Principal) -> AsyncIterator[Assistant]:
    """Yield all assistants, oldest first; they belong to the project, so an end user has none."""
    if not who.has_project:
        return
    async for found in all_pages(store, _PAGE, lambda reads, page: reads.list_assistants(who.reach, page)):
        for each in found.items:
            yield each


async def export_runs(
    store: Store, who: Principal, thread_id: ThreadId
) -> AsyncIterator[tuple[Run, tuple[RunStep, ...]]]:
    """Yield the runs of a thread, oldest first, each with its steps."""
    async for found in all_pages(store, _PAGE, lambda reads, page: reads.list_runs(who.reach, thread_id, page)):
        if not found.items:
            continue
        async with store.read() as reads:
            steps = await reads.steps_of_each(who.reach, [each.id for each in found.items])
        for run in found.items:
            yield run, steps[run.id]
