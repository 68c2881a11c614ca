"""Filling a new thread in several transactions: until the last of them, no caller reaches it.

So it is visible whole or not at all, and yet all transactions are short.
Must not be here: the text of statements (`statements.filling`), when a transaction ends (`core.filling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.store import rows
from gateway.store.erasing import EraseWrites
from gateway.store.schema import tables
from gateway.store.statements import filling, importing
from gateway.store.writes import ALL_INFERRED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.domain.idempotency import IdempotencyKey
    from gateway.domain.message import Message
    from gateway.domain.principal import Reach
    from gateway.domain.thread import ForkSource, Thread
    from gateway.store.writes import Deleted

_COLUMNS: Final = (*rows.IMPORTED, "change_number")
_OF_THREAD: Final = 0  # followers of the list get the new thread as a whole


@dataclass(slots=True)
class Filling:
    """The thread to be created, and what was added to it so far.

    It may be a copy of another one (`source`), take the place of a deleted one, or be inferred from its messages.
    `latest` is the second of its last message. `touched` is when the last messages were added, in milliseconds: it
    identifies the thread that was begun, among others of the same id.
    """

    thread: Thread
    source: ForkSource | None = None
    place: Deleted | None = None
    is_inferred: bool = False
    key: IdempotencyKey | None = None
    count: int = 0
    latest: int = 0
    touched: int = 0

    @property
    def position(self) -> int:
        """The position of the last message."""
        return self.count + (self.place.generation if self.place else 0)


class FillWrites(EraseWrites):
    """The writes to a thread that is being filled, in addition to all others."""

    async def begin_filling(self, reach: Reach, begun: Filling, now: int) -> None:
        """Add a thread that is not whole; until it is, it counts as older than all others in every order."""
        thread = begun.thread._replace(created_at=0, activity_at=0, idempotency_key=None)
        row = rows.row_of_thread(reach.project_id, thread, ALL_INFERRED if begun.is_inferred else None)
        if begun.source is not None:
            row |= {"forked_thread_id": begun.source.thread_id, "forked_message_id": begun.source.message_id}
        if begun.place is not None:
            row |= {"seq": begun.place.seq, "generation": begun.place.generation}
        await self._insert(tables.threads, row | {"filling": now})
        begun.touched = now

    async def add_filled(self, reach: Reach, begun: Filling, added: Sequence[Message], now: int) -> bool:
        """Add messages to a thread; False if it was removed, is being removed, or was begun by another process."""
        if not await self._rows(filling.add_filled, reach, begun.thread.id, _left(begun), len(added), now):
            return False
        values = rows.imported(reach.project_id, enumerate(added, begun.position + 1))
        numbered = [(*row, _OF_THREAD) for row in values]
        await self._connection.insert_rows(tables.messages, _COLUMNS, numbered)
        begun.count += len(added)
        begun.touched = now
        return True

    async def end_filling(self, reach: Reach, begun: Filling, thread: Thread) -> bool:
        """Make a thread visible with all its messages; False as above.

        Errors: KeyTaken.
        """
        values = {"created_at": thread.created_at, "activity_at": thread.activity_at}
        values |= {"last_position": begun.position, "last_created_at": begun.latest}
        if begun.place is not None:
            for of_key in await self._rows(importing.forget_deletion, reach, thread.id):
                values |= rows.key_columns(of_key)
        values |= rows.columns_of(begun.key)
        if not await self._rows(filling.end_filling, reach, thread.id, _left(begun), values):
            return False
        if begun.key is not None:
            await self.refuse_deleted(reach, begun.key)
        self._touch(reach, thread.id, thread.owner, begun.position)
        return True


def _left(begun: Filling) -> dict[str, int]:
    """Name the columns of a thread as the last transaction left them."""
    return {"message_count": begun.count, "filling": begun.touched}
