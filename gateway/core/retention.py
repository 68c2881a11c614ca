"""The use case of retention: threads are deleted some days after their last activity.

Must not be here: how a thread is removed (`thread_removal`), what is an activity (`threads`).
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.core import thread_removal
from gateway.core.clock import now_ms
from gateway.domain.principal import Reach

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.observability.metrics import Reading
    from gateway.store.reads import Reads
    from gateway.store.writes import End

log: Final = logging.getLogger(__name__)

_INTERVAL_S: Final = 3_600
_DAY_MS: Final = 86_400_000
_THREADS: Final = 100


class Retention:
    """Deletes threads that are overdue for as long as a server runs, and counts them."""

    def __init__(self, store: Store, days: int) -> None:
        self._store = store
        self._days = days
        self._deleted = 0

    async def run(self) -> None:
        """Look for overdue threads each hour; several servers may do so at once."""
        while True:
            deleted = await delete_overdue(self._store, now_ms() - self._days * _DAY_MS)
            self._deleted += deleted
            if deleted:
                log.info("Deleted %d threads without activity for %d days.", deleted, self._days)
            await asyncio.sleep(_INTERVAL_S)

    def readings(self) -> list[Reading]:
        """List the metrics, which are read at each scrape."""
        from gateway.observability.metrics import Reading  # noqa: PLC0415  (without metrics it is not loaded)

        text = "Threads deleted because their retention has ended"
        count = "gateway_retention_deleted_threads"
        return [Reading(count, text, lambda: {"all": self._deleted}, "of", is_counter=True)]


async def delete_overdue(store: Store, before_ms: int) -> int:
    """Delete all threads whose last activity was before a time, in milliseconds; return their number."""
    deleted, project_id = 0, ""
    while (found := await _next_project(store, project_id)) is not None:
        project_id, reach = found, Reach(found)
        while overdue := await _overdue(store, reach, before_ms):
            for thread_id in overdue:
                is_due = partial(_is_overdue, Reach(project_id, thread_id=thread_id), before_ms)
                deleted += (await thread_removal.remove(store, reach, thread_id, is_due)).threads
    return deleted


async def _is_overdue(own: Reach, before_ms: int, reads: Reads, end: End) -> bool:
    return end.filling is not None or bool(await reads.overdue_threads(own, before_ms, 1))


async def _next_project(store: Store, after: str) -> str | None:
    async with store.read() as reads:
        return await reads.next_project(after)


async def _overdue(store: Store, reach: Reach, before_ms: int) -> list[ThreadId]:
    async with store.read() as reads:
        return await reads.overdue_threads(reach, before_ms, _THREADS)
