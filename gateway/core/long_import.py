"""Importing a new thread that is too long for one transaction: it is filled in several, and visible once it is whole.

An interrupted import leaves a thread that no caller reaches; the next import of it, or any server, removes it.
Must not be here: threads that share a transaction (`transfer`), or that exist already (`long_append`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.core.clock import now_ms
from gateway.core.filling import fill, remove_unfinished
from gateway.core.taken import Refused, RefusedError, Taken, held_by
from gateway.errors import NotFound
from gateway.store.filling import Filling
from gateway.store.writes import Writes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.core import Store
    from gateway.core.taken import Given
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Reach
    from gateway.store.runs import RunWrites
    from gateway.store.staging import Staged, Staging
    from gateway.store.writes import End


class UnfinishedError(Exception):
    """Threads were begun by an import that was interrupted, or still runs elsewhere: they are removed first."""

    def __init__(self, thread_ids: Sequence[ThreadId]) -> None:
        super().__init__()
        self.thread_ids = thread_ids


async def find_ends(transaction: Writes, reach: Reach, thread_ids: Sequence[ThreadId]) -> dict[ThreadId, End]:
    """Return the ends of threads that exist, and lock their rows.

    Errors: UnfinishedError.
    """
    ends = await transaction.lock_ends(reach.and_unfinished(), thread_ids)
    if unfinished := [thread_id for thread_id, end in ends.items() if end.filling is not None]:
        raise UnfinishedError(unfinished)
    return ends


async def import_long(
    store: Store, reach: Reach, staging: Staging, given: Given, *, replace_deleted: bool
) -> Taken | None:
    """Add a thread with its staged messages and idempotency keys; None if it exists or stays deleted."""
    filling = await store.write(partial(_begin, reach=reach, given=given, replace_deleted=replace_deleted))
    if filling is None:
        return None
    taken = Taken(threads=1)
    try:
        await fill(store, reach, filling, _batches(store, reach, staging, filling, taken))
    except RefusedError as error:
        await remove_unfinished(store, reach, given.thread.id, filling.touched + 1)
        return Taken(refused=[error.refused])
    except NotFound:
        first = next(staging.messages(given.thread.id))[0]
        reason = f"'{given.thread.id}' was deleted, or another import of it began, while it was imported."
        return Taken(refused=[Refused(first, reason)])
    taken.messages = filling.count
    return taken


async def _begin(transaction: RunWrites, reach: Reach, given: Given, *, replace_deleted: bool) -> Filling | None:
    thread, own = given.thread, reach.and_unfinished()
    await transaction.lock_imports()
    if await find_ends(transaction, reach, [thread.id]):
        return None
    place = (await transaction.deleted_threads(reach, [thread.id])).get(thread.id)
    if place is not None and not replace_deleted:
        return None
    filling = Filling(thread, place=place, is_inferred=not given.has_line)
    await transaction.begin_filling(own, filling, now_ms())
    return filling


async def _batches(
    store: Store, reach: Reach, staging: Staging, filling: Filling, taken: Taken
) -> AsyncIterator[tuple[Sequence[Message], bool]]:
    """Yield the messages of a thread, then store its keys: a key refers to a stored object."""
    thread_id = filling.thread.id
    for batch in staging.messages(thread_id):
        yield await _new(store, reach, batch, taken), False
        filling.latest = batch[-1].second
    await restore_keys(store, reach.and_unfinished(), staging, thread_id)
    yield (), True


async def restore_keys(store: Store, reach: Reach, staging: Staging, thread_id: ThreadId) -> None:
    """Store the idempotency keys of a long thread, in batches."""
    for keys in staging.keys(thread_id):
        await store.write(partial(Writes.restore_keys, reach=reach, keys=keys))


async def _new(store: Store, reach: Reach, batch: Sequence[Staged], taken: Taken) -> list[Message]:
    """Return the messages of a batch without duplicates of earlier ones.

    Errors: RefusedError.
    """
    async with store.read() as reads:
        known = await reads.known_messages(reach, [each.message.id for each in batch])
    new: list[Message] = []
    for each in batch:
        message = each.message
        holder = known.setdefault(message.id, "")
        if not holder:
            known[message.id] = message.thread_id
            new.append(message)
        elif holder == message.thread_id:
            taken.known += 1
        else:
            raise RefusedError(Refused(each, held_by(message.id, holder)))
    return new
