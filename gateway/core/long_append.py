"""Importing many messages into a thread that exists: they are added to its end in short transactions.

It is checked as a whole before the first of them is added. Each transaction adds the next ones in their order, so an
interrupted import leaves the first of them, and the next import adds the others.
Must not be here: new threads (`long_import`), threads that share a transaction (`transfer`).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from gateway.core.filling import chunks, end_of_moment
from gateway.core.import_checks import find_refused, why_not
from gateway.core.long_import import find_ends, restore_keys
from gateway.core.taken import Refused, RefusedError, Taken, held_by
from gateway.store.writes import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.core.taken import Given
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Reach
    from gateway.store.runs import RunWrites
    from gateway.store.staging import Staged, Staging
    from gateway.store.writes import Writes


async def append_long(store: Store, reach: Reach, staging: Staging, given: Given) -> Taken | None:
    """Add the staged messages of a thread to its end, then its keys and its own line; None if it does not exist.

    Messages that a client adds meanwhile come between those of two transactions.
    Errors: UnfinishedError.
    """
    thread_id = given.thread.id
    ends = await store.write(partial(find_ends, reach=reach, thread_ids=[thread_id]))
    if not ends:
        return None
    known, refused = await _check(store, reach, staging, thread_id, ends[thread_id])
    if refused is not None:
        return Taken(refused=[refused])
    taken = Taken(known=1 + known)
    try:
        for batch in staging.messages(thread_id, after=known):
            left = batch
            while left:
                done, new = await store.write(partial(_step, reach=reach, left=left, has_begun=taken.messages > 0))
                taken.messages += new
                taken.known += done - new
                left = left[done:]
    except RefusedError as error:
        taken.refused = [error.refused._replace(added=taken.messages)]
    await restore_keys(store, reach, staging, thread_id)
    if given.has_line and ends[thread_id].inferred and not taken.refused:
        await store.write(partial(_fill_thread, reach=reach, given=given))
    return taken


async def _check(
    store: Store, reach: Reach, staging: Staging, thread_id: ThreadId, end: End
) -> tuple[int, Refused | None]:
    """Count the messages at the beginning that are there, and find what refuses the others, if anything does."""
    known = await _count_known(store, reach, staging, thread_id)
    while True:
        async with store.read() as reads:
            found = await find_refused(reads, reach, staging, {thread_id: end}, [thread_id], after=known)
        if not found:
            return known, None
        before, known = known, await _count_known(store, reach, staging, thread_id)
        if known == before:  # otherwise another import adds the same messages now, which looks like messages in between
            return known, found[thread_id]


async def _count_known(store: Store, reach: Reach, staging: Staging, thread_id: ThreadId) -> int:
    """Count the messages at the beginning of a staged thread that exist already, so that no transaction reads them."""
    count = 0
    for message_ids in staging.ids(thread_id):
        async with store.read() as reads:
            known = await reads.known_messages(reach, message_ids)
        for each in message_ids:
            if known.get(each) != thread_id:
                return count
            count += 1
    return count


async def _step(transaction: RunWrites, reach: Reach, left: Sequence[Staged], *, has_begun: bool) -> tuple[int, int]:
    """Add messages for a limited time; return how many were processed, and how many of them are new.

    Errors: RefusedError.
    """
    until, thread_id = end_of_moment(), left[0].message.thread_id
    await transaction.lock_imports()
    end = (await transaction.lock_ends(reach, [thread_id])).get(thread_id)
    if end is None:
        raise RefusedError(Refused(left[0], f"'{thread_id}' was deleted while it was imported."))
    done, begin = 0, end.position
    for chunk in chunks(left, lambda each: each.message.stored):
        placed, end = await _place(transaction, reach, chunk, end, has_begun=has_begun or end.position > begin)
        await transaction.append_messages(reach, placed, {thread_id: end})
        done += len(chunk)
        if time.monotonic() > until:
            break
    return done, end.position - begin


async def _place(
    transaction: Writes, reach: Reach, chunk: Sequence[Staged], end: End, *, has_begun: bool
) -> tuple[list[tuple[int, Message]], End]:
    """Return the messages that do not exist yet, with their positions, and the end that the thread has after them.

    The first of all must not be older than the thread's last one; a client may have added a newer one since then.
    Errors: RefusedError.
    """
    known = await transaction.known_messages(reach, [each.message.id for each in chunk])
    placed: list[tuple[int, Message]] = []
    for each in chunk:
        message, holder = each.message, known.get(each.message.id)
        if holder is not None:
            if holder != message.thread_id:
                raise RefusedError(Refused(each, held_by(message.id, holder)))
            continue
        second = max(each.second, end.second) if has_begun or placed else each.second
        if (reason := why_not(message.thread_id, end, second)) is not None:
            raise RefusedError(Refused(each, reason))
        known[message.id] = message.thread_id
        end = End(end.position + 1, second)
        placed.append((end.position, message))
    return placed, end


async def _fill_thread(transaction: RunWrites, reach: Reach, given: Given) -> None:
    """Replace what is inferred of a thread by its own line, if the thread still exists."""
    ends = await transaction.lock_ends(reach, [given.thread.id])
    for end in ends.values():
        if end.inferred:
            await transaction.fill_thread(reach, given.thread, end)
