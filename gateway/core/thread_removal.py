"""Removing a thread of any length, in transactions that are short, so that other writers do not wait for it.

Each commit leaves a valid state: messages are deleted before their thread, and the next removal completes an
interrupted one.
Must not be here: which threads are removed (`erasing`, `retention`), the deletion that a client asks for (`threads`).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Reach
    from gateway.store.runs import RunWrites

    IsDue = Callable[[RunWrites], Awaitable[bool]]

_ROWS: Final = 100  # of one statement
_HOLD_S: Final = 0.03  # after which a transaction begins no further statement; its commit may take longer


class Removed(NamedTuple):
    """What one removal has deleted: if several remove a thread at once, each deletes a part of its messages."""

    threads: int
    messages: int


async def remove(store: Store, reach: Reach, thread_id: ThreadId, is_due: IsDue | None = None) -> Removed:
    """Delete a thread with its messages, if it exists and is due.

    `is_due` says in each transaction whether it is still to be deleted.
    Errors: Unavailable, after which the next call continues.
    """
    removed = 0
    position: int | None = 0
    while position is not None:
        work = partial(_step, reach=reach, thread_id=thread_id, position=position, is_due=is_due)
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
    end = time.monotonic() + _HOLD_S
    try:
        await transaction.next_position(reach, thread_id)
    except NotFound:
        return None
    if is_due is not None and not await is_due(transaction):
        return None
    removed, has_more = 0, True
    while has_more:
        count, position = await transaction.remove_messages_after(reach, thread_id, position, _ROWS)
        removed += count
        has_more = count > 0 or await transaction.remove_others(reach, thread_id, _ROWS)
        if has_more and time.monotonic() > end:
            return removed, position
    await transaction.remove_thread(reach, thread_id)
    return removed, None
