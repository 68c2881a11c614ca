"""The use case of forking a thread: a copy of its messages up to one, to continue in another direction.

Must not be here: SQL, how requests name a message.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from gateway.core import threads
from gateway.core.clock import now_ms
from gateway.core.filling import fill
from gateway.core.idempotency import create_once
from gateway.domain import bounds, metadata
from gateway.domain.idempotency import KeyTaken, Kind
from gateway.domain.ids import new_message_id, new_thread_id
from gateway.domain.message import Ending, IncompleteReason, Status, finished
from gateway.domain.principal import Scope
from gateway.domain.thread import ForkSource, Thread
from gateway.domain.unset import UNSET
from gateway.domain.wire import dump_text
from gateway.errors import InvalidRequest, NotFound
from gateway.store.filling import Filling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.core import Store
    from gateway.domain.idempotency import Attempt, IdempotencyKey
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal, Reach
    from gateway.domain.thread import NewFork
    from gateway.store.reads import Reads

_BATCH: Final = 500  # messages that are read at once, or as many as have the bytes of a page
_END: Final = (1 << 63) - 1  # after all positions
_CANCELLED: Final = Ending(Status.INCOMPLETE, IncompleteReason.RUN_CANCELLED)


async def fork(
    store: Store, who: Principal, thread_id: ThreadId, new: NewFork, attempt: Attempt | None = None
) -> Thread:
    """Create a thread with copies of the messages of another one, under new ids, whole or not at all.

    The messages are those of one moment, and what is in progress is incomplete in the copy. It belongs to the owner of
    the other one, unless another is named.
    Errors: Forbidden; NotFound for the thread, then for the message in it; InvalidRequest where the merged metadata has
    too many pairs, or there are too many messages; those of an idempotency key.
    """
    who.require(Scope.READ, Scope.WRITE)
    who.require_many_threads()
    key = None if attempt is None else attempt.identify(who, Kind.FORK, thread_id, new)
    create = partial(_fork, store, who, thread_id, new, key)
    return await create_once(store, who, attempt, key, create=create, read=partial(threads.get, store, who))


async def _fork(store: Store, who: Principal, thread_id: ThreadId, new: NewFork, key: IdempotencyKey | None) -> Thread:
    async with store.snapshot() as reads:
        if key is not None and await reads.find_created(who.reach, key) is not None:
            raise KeyTaken
        source = (await reads.get_threads(who.reach, [thread_id])).get(thread_id)
        if source is None:
            raise NotFound("thread", thread_id)
        last = await _last(reads, who.reach, source, new.up_to)
        copy = Thread(
            id=new_thread_id(),
            created_at=0,  # this and the other zeros are set when the thread is whole
            metadata_json=dump_text(
                source.metadata if new.metadata is UNSET else metadata.merge(source.metadata, new.metadata)
            ),
            tool_resources_json=source.tool_resources_json,
            message_count=0,
            activity_at=0,
            owner=source.owner if new.owner is None else threads.owner_of_new(who, new.owner),
            idempotency_key=None if key is None else key.value,
        )
        filling = Filling(copy, ForkSource(thread_id, new.up_to), key=key)
        return await fill(store, who.reach, filling, _copies(reads, who.reach, filling, last))


async def _last(reads: Reads, reach: Reach, source: Thread, up_to: MessageId | None) -> int:
    """Return the position of the last message that is copied, if there are not too many.

    Errors: NotFound for a message; InvalidRequest.
    """
    last = _END
    if up_to is not None:
        found = await reads.position_of(reach, source.id, up_to)
        if found is None:
            raise NotFound("message", up_to)
        last = found
    most = bounds.FORK_MESSAGES.number
    if source.message_count > most and await reads.count_until(reach, source.id, last, most + 1) > most:
        message = f"A fork copies at most {most:,} messages. Name an earlier last one."
        raise InvalidRequest(message, param="up_to", code=bounds.FORK_MESSAGES.code)
    return last


async def _copies(
    reads: Reads, reach: Reach, filling: Filling, last: int
) -> AsyncIterator[tuple[Sequence[Message], bool]]:
    """Yield copies of all messages up to a position, in batches; messages in progress become incomplete."""
    position, is_last, now = 0, False, now_ms() // 1_000
    copy_id, source = filling.thread.id, cast("ForkSource", filling.source)
    while not is_last:
        found = await reads.list_messages_after(reach, source.thread_id, position, _BATCH)
        position = found.position
        is_last = position >= last or not found.has_more
        batch = [_copy(message, copy_id, now) for at, message in found.items if at <= last]
        filling.latest = max((filling.latest, *(each.created_at for each in batch)))
        yield batch, is_last


def _copy(message: Message, copy_id: ThreadId, now: int) -> Message:
    copied = message._replace(id=new_message_id(), thread_id=copy_id, idempotency_key=None)
    return finished(copied, _CANCELLED, now) if copied.status is Status.IN_PROGRESS else copied
