"""The use case of forking a thread: a copy of its messages up to one, to continue in another direction.

Must not be here: SQL, how requests name a message.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.core import threads
from gateway.core.clock import now_ms
from gateway.core.idempotency import create_once
from gateway.domain import bounds, metadata
from gateway.domain.idempotency import Kind
from gateway.domain.ids import new_thread_id
from gateway.domain.principal import Scope
from gateway.domain.thread import ForkSource, Thread
from gateway.domain.unset import UNSET
from gateway.domain.wire import dump_text
from gateway.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.domain.idempotency import Attempt, IdempotencyKey
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal
    from gateway.domain.thread import NewFork
    from gateway.store.writes import Writes


async def fork(
    store: Store, who: Principal, thread_id: ThreadId, new: NewFork, attempt: Attempt | None = None
) -> Thread:
    """Create a thread with copies of the messages of another one, under new ids, whole or not at all.

    It belongs to the owner of the other one, unless another is named. What is in progress is incomplete in the copy.
    Errors: Forbidden; NotFound for the thread, then for the message in it; InvalidRequest where the merged metadata has
    too many pairs, or there are too many messages; those of an idempotency key.
    """
    who.require(Scope.READ, Scope.WRITE)
    who.require_many_threads()
    if attempt is None:
        return await _fork(store, who, thread_id, new, None)
    key = attempt.identify(who, Kind.FORK, thread_id, new)
    create = partial(_fork, store, who, thread_id, new, key)
    return await create_once(store, who, attempt, key, create=create, read=partial(threads.get, store, who))


async def _fork(store: Store, who: Principal, thread_id: ThreadId, new: NewFork, key: IdempotencyKey | None) -> Thread:
    active_at = now_ms()
    now = active_at // 1_000

    async def work(transaction: Writes) -> Thread:
        ends = await transaction.lock_ends(who.reach, [thread_id])  # nothing is added or deleted while it is copied
        source = (await transaction.get_threads(who.reach, [thread_id])).get(thread_id)
        if source is None:
            raise NotFound("thread", thread_id)
        last = ends[thread_id].position
        if new.up_to is not None:
            found = await transaction.position_of(who.reach, thread_id, new.up_to)
            if found is None:
                raise NotFound("message", new.up_to)
            last = found
        merged = source.metadata if new.metadata is UNSET else metadata.merge(source.metadata, new.metadata)
        copy = Thread(
            id=new_thread_id(),
            created_at=now,
            metadata_json=dump_text(merged),
            tool_resources_json=source.tool_resources_json,
            message_count=0,
            activity_at=active_at,
            owner=source.owner if new.owner is None else threads.owner_of_new(who, new.owner),
            idempotency_key=None if key is None else key.value,
        )
        await transaction.add_thread(who.reach, copy, key=key, source=ForkSource(thread_id, new.up_to))
        count = await transaction.copy_messages(who.reach, thread_id, last, copy.id, now)
        if count > bounds.FORK_MESSAGES.number:
            raise _too_long(count)
        return copy._replace(message_count=count)

    return await store.write(work, thread_id)


async def list_sources(store: Store, who: Principal, thread_ids: Sequence[str]) -> dict[str, ForkSource]:
    """Return of which threads others are copies, in one statement; those that are no copies are omitted.

    So are copies of a thread that was deleted or that the caller cannot reach.
    """
    who.require(Scope.READ)
    async with store.read() as reads:
        return await reads.list_sources(who.reach, thread_ids)


def _too_long(count: int) -> InvalidRequest:
    most = bounds.FORK_MESSAGES.number
    message = f"A fork copies at most {most:,} messages, and got at least {count:,}. Name an earlier last one."
    return InvalidRequest(message, param="up_to", code=bounds.FORK_MESSAGES.code)
