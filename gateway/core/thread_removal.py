"""Removing a thread of any length, in transactions that are short, so that other writers do not wait for it.

The first transaction deletes the thread for all callers. The following ones delete its rows, that of the thread last;
if they are interrupted, any server continues (`filling.watch`).
Must not be here: which threads are removed (`erasing`, `retention`, `threads`).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Reach
    from gateway.store.runs import RunWrites
    from gateway.store.writes import End

    IsDue = Callable[[RunWrites, End], Awaitable[bool]]

_ROWS: Final = 100  # of one statement
_HOLD_S: Final = 0.03  # after which a transaction begins no further statement; its commit may take longer


class Removed(NamedTuple):
    """What one removal has deleted: if several remove a thread at once, each deletes a part of its messages."""

    threads: int
    messages: int


async def remove(store: Store, reach: Reach, thread_id: ThreadId, is_due: IsDue | None = None) -> Removed:
    """Delete a thread with its messages, whether it is whole or not, if it exists and is due.

    `is_due` says in each transaction whether it is still to be deleted, given the end of the thread.
    Errors: Unavailable, after which the next call continues.
    """
    removed = 0
    position: int | None = 0
    while position is not None:
        work = partial(_step, reach=reach.and_unfinished(), thread_id=thread_id, position=position, is_due=is_due)
        step = await store.write(work, thread_id)
        if step is None:
            return Removed(0, removed)
        messages, position = step
        removed += messages
    return Removed(1, removed)


async def _step(
    transaction: RunWrites, reach: Reach, thread_id: ThreadId, position: int, is_due: IsDue | None
) -> tuple[int, int | None] | None:
    """Delete messages of a thread for a limited time, then itself; return their number, and where to continue."""
    until = time.monotonic() + _HOLD_S
    end = (await transaction.lock_ends(reach, [thread_id])).get(thread_id)
    if end is None or (is_due is not None and not await is_due(transaction, end)):
        return None
    if end.filling is None:
        await transaction.hide_thread(reach, thread_id)
    removed, has_more = 0, True
    while has_more:
        count, position = await transaction.remove_messages_after(reach, thread_id, position, _ROWS)
        removed += count
        has_more = count > 0 or await transaction.remove_others(reach, thread_id, _ROWS)
        if has_more and time.monotonic() > until:
            return removed, position
    await transaction.remove_hidden(reach, thread_id)
    return removed, None
