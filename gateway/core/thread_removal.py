"""Removing a thread of any length, in transactions that are short, so that other writers do not wait for it.

What is committed is whole: messages go before their thread, and a removal that breaks off is completed by the next one.
Must not be here: which threads are removed (`erasing`, `retention`), the deletion that a client asks for (`threads`).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.domain.principal import Reach
from gateway.errors import NotFound

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.store.writes import Writes

_MESSAGES: Final = 10  # of one statement; each may have as many bytes as a message may
_HOLD_S: Final = 0.05  # after which a transaction begins no further statement; its commit may take twice as long


async def remove(store: Store, reach: Reach, thread_id: ThreadId, before_ms: int | None = None) -> int | None:
    """Delete a thread with its messages, and return their number; None if it is not there, or not to be deleted.

    With `before_ms` it is deleted only if its last activity was before that time, in milliseconds.
    Errors: Unavailable, after which the next call continues.
    """
    removed, is_there = 0, True
    while is_there:
        step = await store.write(partial(_step, reach=reach, thread_id=thread_id, before_ms=before_ms), thread_id)
        if step is None:
            return None
        messages, is_there = step
        removed += messages
    return removed


async def _step(
    transaction: Writes, reach: Reach, thread_id: ThreadId, before_ms: int | None
) -> tuple[int, bool] | None:
    """Delete messages of a thread for a moment, then itself; return their number, and whether it remains."""
    end = time.monotonic() + _HOLD_S
    try:
        await transaction.next_position(reach, thread_id)
    except NotFound:
        return None
    if before_ms is not None:
        own = Reach(reach.project_id, reach.owner, thread_id)
        if not await transaction.overdue_threads(own, before_ms, 1):
            return None
    removed = 0
    while (last := await transaction.remove_first_messages(reach, thread_id, _MESSAGES)) == _MESSAGES:
        removed += last
        if time.monotonic() > end:
            return removed, True
    await transaction.remove_thread(reach, thread_id)
    return removed + last, False
