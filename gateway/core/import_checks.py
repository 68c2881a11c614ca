"""The checks of an import's threads: for ids of other threads, and for messages older than the existing ones.

Must not be here: writing what is not refused (`transfer`, `long_import`, `long_append`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.taken import Refused, answered_by, held_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Reach
    from gateway.store.reads import Reads
    from gateway.store.staging import Staging
    from gateway.store.writes import End


async def find_refused(
    reads: Reads,
    reach: Reach,
    staging: Staging,
    ends: Mapping[ThreadId, End],
    thread_ids: Sequence[ThreadId],
    *,
    after: int = 0,
) -> dict[ThreadId, Refused]:
    """Find the threads that cannot be imported, by their staged messages; the first `after` ones are skipped."""
    refused: dict[ThreadId, Refused] = {}
    owners: dict[str, ThreadId] = {}  # of new ids; not kept for a thread alone in its group, as a long one is
    begun: set[ThreadId] = set()  # threads with a new message
    for batch in staging.messages(*thread_ids, after=after):
        known = await reads.known_messages(reach, [each.message.id for each in batch])
        for each in batch:
            thread_id = each.message.thread_id
            holder = known.get(each.message.id) or owners.get(each.message.id)
            reason = None
            if holder is not None and holder != thread_id:
                reason = held_by(each.message.id, holder)
            elif each.message.id in known:
                reason = _too_late(thread_id) if thread_id in begun else None
            else:
                end = ends.get(thread_id)
                begun.add(thread_id)
                reason = None if end is None else why_not(thread_id, end, each.second)
                if len(thread_ids) > 1:
                    owners.setdefault(each.message.id, thread_id)
            if reason is not None:
                refused.setdefault(thread_id, Refused(each, reason))
    return refused


def why_not(thread_id: str, end: End, second: int) -> str | None:
    """Return the reason why a message of this second cannot be added to the end of a thread, if there is one."""
    if end.active_run is not None:
        return answered_by(thread_id, end.active_run)
    return _too_late(thread_id) if second < end.second else None


def _too_late(thread_id: str) -> str:
    return (
        f"'{thread_id}' already holds newer messages, and messages can only be added after them: "
        "import all files of a thread in one run."
    )
