"""Filling a new thread in several transactions: until the last of them it is in no list, and its id is known to nobody.

So a copy is visible whole or not at all, while no transaction is longer than a moment.
Must not be here: the text of statements (`statements.filling`), when a transaction ends (`core.filling`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.store import rows
from gateway.store.schema import tables
from gateway.store.statements import filling
from gateway.store.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.domain.idempotency import IdempotencyKey
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Reach
    from gateway.domain.thread import ForkSource, Thread

_COLUMNS: Final = (*rows.IMPORTED, "change_number")
_OF_THREAD: Final = 0  # followers of the list get the new thread as a whole


class FillWrites(Writes):
    """What is written of a thread that is being filled, beside all else."""

    async def begin_filling(self, reach: Reach, thread: Thread, source: ForkSource, now: int) -> None:
        """Add a thread that is not whole; it is older than all others until it is, wherever they are in order."""
        row = rows.row_of_thread(reach.project_id, thread._replace(created_at=0, activity_at=0, idempotency_key=None))
        row |= {"forked_thread_id": source.thread_id, "forked_message_id": source.message_id, "filling": now}
        await self._insert(tables.threads, [row])

    async def add_filled(
        self, reach: Reach, thread_id: ThreadId, filled: int, added: Sequence[Message], now: int
    ) -> bool:
        """Add messages to a thread to which as many were added before; False if it was removed, or is about to be."""
        if not await self._rows(filling.add_filled, reach, thread_id, filled, len(added), now):
            return False
        values = rows.imported(reach.project_id, enumerate(added, filled + 1))
        numbered = [(*row, _OF_THREAD) for row in values]
        await self._driver.insert_rows(self._connection.raw, tables.messages.name, _COLUMNS, numbered)
        return True

    async def end_filling(self, reach: Reach, thread: Thread, latest: int, key: IdempotencyKey | None) -> bool:
        """Show a thread with all its messages, of which the latest is of a second; False as above.

        Errors: KeyTaken.
        """
        count = thread.message_count
        values = {"created_at": thread.created_at, "activity_at": thread.activity_at}
        values |= {"last_position": count, "last_created_at": latest}
        if not await self._rows(filling.end_filling, reach, thread.id, count, values | rows.columns_of(key)):
            return False
        if key is not None:
            await self.refuse_deleted(reach, key)
        self._touch(reach, thread.id, thread.owner, count)
        return True

    async def is_abandoned(self, reach: Reach, thread_id: ThreadId, before: int) -> bool:
        """Say whether nothing was added since a time, in milliseconds, to a thread that is not whole."""
        return bool(await self._rows(filling.is_abandoned, reach, thread_id, before))
