"""The use cases of workers: which runs are due, and the leases by which one worker at a time handles a run.

Must not be here: what a worker writes (`run_progress`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.domain.run import StepStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.domain.run import OpenRun
    from gateway.store.runs import RunWrites

    Key = tuple[str, str]  # project and run

LEASE_MS: Final = 10_000


async def due(store: Store, limit: int) -> list[Key]:
    """Return runs of all projects that a worker has to handle, in turns between the projects."""
    async with store.read() as reads:
        return await reads.due_runs(limit)


async def lease(store: Store, key: Key, owner: str) -> tuple[OpenRun, bool] | None:
    """Take the lease of a run that is due, and say whether the run has expired; None where another was faster."""
    return await store.write(lambda transaction: transaction.lease_run(*key, owner, LEASE_MS), key[1])


async def renew(store: Store, keys: Sequence[Key], owner: str) -> list[str | None]:
    """Renew leases; return the status of each run, or None where its lease was lost."""

    async def work(transaction: RunWrites) -> list[str | None]:
        return [await transaction.renew_lease(*key, owner, LEASE_MS) for key in keys]

    return await store.write(work)


async def release(store: Store, open_run: OpenRun) -> None:
    """Let another worker take over a run of which nothing was written, unless one has already."""
    reach, run = open_run.reach, open_run.run

    async def work(transaction: RunWrites) -> None:
        if await transaction.renew_lease(reach.project_id, run.id, run.leased_by or "", LEASE_MS) is not None:
            await transaction.make_due(reach, run.id)

    await store.write(work, run.id)


async def has_output(store: Store, open_run: OpenRun) -> bool:
    """Say whether anything of an answer in progress was written."""
    async with store.read() as reads:
        steps = await reads.steps_of(open_run.reach, open_run.run.id)
    return any(step.status is StepStatus.IN_PROGRESS for step in steps)
