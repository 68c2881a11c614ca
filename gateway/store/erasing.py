"""Deletion of threads in steps, and removal of an end user's name from rows.

Must not be here: the text of statements (`statements.erasing`), when a transaction ends (`core`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.domain.principal import owner_digest
from gateway.domain.wire import dump_text
from gateway.store.schema import tables
from gateway.store.statements import epochs, erasing, idempotency, removal, threads
from gateway.store.statements.removal import MANY_BYTES
from gateway.store.statements.single_rows import set_row
from gateway.store.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Reach

KEYED: Final = sorted({table.name for each in idempotency.TABLES.values() for table in each})
# Rows of a thread other than messages; steps are deleted before their runs.
BESIDE: Final = (tables.run_steps, tables.runs, tables.message_deltas, tables.deleted_messages, tables.read_marks)


class EraseWrites(Writes):
    """The writes of an erasure, or another removal in steps."""

    async def remove_messages_after(
        self, reach: Reach, thread_id: ThreadId, position: int, most: int
    ) -> tuple[int, int]:
        """Delete messages after a position of a thread that is about to be deleted; return how many, and the last.

        They are at most so many, and one or MANY_BYTES.
        """
        own = (reach, thread_id, position)
        found = await self._taken(_first, erasing.list_sizes, *own, most)
        if found:
            await self._rows(erasing.remove_messages, *own, found[-1])
            await self._rows(threads.uncount_messages, reach, thread_id, len(found))
        return len(found), found[-1] if found else position

    async def remove_others(self, reach: Reach, thread_id: ThreadId, most: int) -> bool:
        """Delete some of a thread's other rows, as many as of messages; say whether more may be left."""
        for table in BESIDE:
            if found := await self._taken(_first, erasing.list_beside, reach, table, thread_id, most):
                await self._rows(erasing.remove_beside, reach, table, thread_id, dump_text(found))
                return True
        return False

    async def remove_hidden(self, reach: Reach, thread_id: ThreadId) -> None:
        """Delete the row of a thread that no caller reaches, after its other rows."""
        await self._rows(removal.remove_hidden, reach, thread_id)

    async def forget_owner(self, reach: Reach, most: int) -> int:
        """Remove the owner that the caller is limited to from places of some deleted threads; return their number."""
        return len(await self._rows(erasing.forget_owner, reach, _digest(reach), most))

    async def note_erasure(self, reach: Reach) -> None:
        """Note that the owner that the caller is limited to was erased, which ends subscriptions to its threads."""
        await self._rows(epochs.lock_epochs)  # two at once would both delete nothing and insert the same row
        await self._rows(erasing.forget_erasure, reach, _digest(reach))
        await self._insert(tables.erased_owners, {"project_id": reach.project_id, "owner": _digest(reach)})
        self._touch(reach, "", reach.owner, 0)

    async def forget_scope(self, reach: Reach, table: str, scope: str, key: str) -> None:
        """Remove an idempotency key from what was created under it."""
        await self._rows(idempotency.forget_key, reach, tables.metadata.tables[table], scope, key)

    async def forget_author(self, reach: Reach, message_id: str) -> None:
        """Remove the author of a message."""
        await self._rows(set_row, reach, tables.messages, message_id, {"author": None})

    async def forget_payer(self, reach: Reach, run_id: str) -> None:
        """Remove the payer of a run."""
        await self._rows(set_row, reach, tables.runs, run_id, {"created_by": None})

    async def forget_mark(self, reach: Reach, thread_id: str, reader: str) -> None:
        """Delete how far a reader has read a thread."""
        await self._rows(erasing.forget_mark, reach, thread_id, reader)


def _first(sizes: Iterable[tuple[Any, int]]) -> list[Any]:
    """Take the keys of the first rows: one, and more while all are within MANY_BYTES."""
    found: list[Any] = []
    stored = 0
    for key, size in sizes:
        stored += size
        if found and stored > MANY_BYTES:
            break
        found.append(key)
    return found


def _digest(reach: Reach) -> str:
    return owner_digest(reach.project_id, reach.owner or "")
