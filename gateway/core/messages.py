"""The use cases of messages: one function is one use case and one transaction.

Must not be here: parsing requests, rendering responses, SQL.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.core import paging
from gateway.core.clock import now_ms
from gateway.core.idempotency import create_once, read_created
from gateway.core.read_marks import author_of
from gateway.core.run_progress import unless_overdue
from gateway.domain import metadata
from gateway.domain.idempotency import Kind
from gateway.domain.ids import new_message_id
from gateway.domain.message import COMPLETED, USER, Addition, Message, plain_text, with_created_at
from gateway.domain.page import WHOLE
from gateway.domain.principal import READ, SEND, WRITE
from gateway.domain.unset import UNSET
from gateway.domain.wire import dump, dump_text
from gateway.errors import NotFound
from gateway.observability import audit
from gateway.observability.audit import Event
from gateway.store.reads import Reads
from gateway.store.writes import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.domain.idempotency import Attempt, IdempotencyKey
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import MessagePatch, NewMessage
    from gateway.domain.page import Fields, PageEnds, PageRead, PageRequest, Rows
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes

_KIND: Final = Kind.MESSAGE  # see `domain.principal`


async def create(
    store: Store, who: Principal, thread_id: ThreadId, new: NewMessage, attempt: Attempt | None = None
) -> Message:
    """Add a message to the end of a thread; the scope `send` allows only completed messages of the role `user`.

    Errors: Forbidden; NotFound for the thread; ThreadLocked where a run is answering; those of an idempotency key.
    """
    if not (SEND in who.scopes and _is_user_message(new)):
        who.require(WRITE)
    active_at = now_ms()
    key = None if attempt is None else attempt.identify(who, _KIND, thread_id, new)
    message = from_new(thread_id, new, active_at // 1_000, key)
    reader = author_of(who) if new.role is USER else None
    add = partial(store.add_message, who.reach, Addition(message, active_at, reader, key))
    if key is None:  # the most frequent creation, of which what follows would be 1 %
        return await unless_overdue(store, who.reach, add)

    def as_made(found: Message) -> Message:
        return with_created_at(message._replace(id=found.id), found.created_at)

    create = partial(unless_overdue, store, who.reach, add)
    read = partial(read_created, store, who, "message", find=Reads.get_messages, as_made=as_made)
    return await create_once(store, who, attempt, key, create=create, read=read)


async def get(store: Store, who: Principal, thread_id: ThreadId, message_id: MessageId) -> Message:
    """Return a message of a thread.

    Errors: NotFound for the thread, then for the message in it.
    """
    who.require(READ)
    async with store.read() as reads:
        found = (await reads.get_messages(who.reach, [message_id])).get(message_id)
        if found is not None and found.thread_id == thread_id:
            return found
        if not await reads.get_threads(who.reach, [thread_id]):
            raise NotFound("thread", thread_id)
    raise NotFound("message", message_id)


async def get_many(store: Store, who: Principal, message_ids: Sequence[str], fields: Fields = WHOLE) -> Rows:
    """Return some fields of messages of any thread in one statement; unknown ids are omitted.

    Errors: AnswerTooLarge.
    """
    who.require(READ)
    async with store.read() as reads:
        return await reads.get_rows(who.reach, message_ids, fields)


async def update(
    store: Store, who: Principal, thread_id: ThreadId | None, message_id: MessageId, patch: MessagePatch
) -> Message:
    """Change the metadata of a message key by key; without a thread, of a message in any thread.

    Errors: NotFound for the thread, then for the message in it; InvalidRequest where the merge has too many pairs.
    """
    who.require(READ, WRITE)

    async def work(transaction: Writes) -> Message:
        found_in, position = await _begin_change(transaction, who, thread_id, message_id)
        message = (await transaction.get_messages(who.reach, [message_id])).get(message_id)
        if message is None or message.thread_id != found_in:
            raise NotFound("message", message_id)
        if patch.metadata is not UNSET:
            message = message._replace(metadata_json=dump_text(metadata.merge(message.metadata, patch.metadata)))
            await transaction.set_message_metadata(who.reach, message, position)
        return message

    return await store.write(work, message_id)


async def delete(store: Store, who: Principal, thread_id: ThreadId | None, message_id: MessageId) -> ThreadId:
    """Delete the content of a message permanently, and return its thread; without a thread, of a message in any thread.

    Its place is kept, so that cursors stay valid.
    Errors: NotFound for the thread, then for the message in it, also if it is already deleted.
    """
    who.require(WRITE)

    async def work(transaction: Writes) -> ThreadId:
        found_in, position = await _begin_change(transaction, who, thread_id, message_id)
        if not await transaction.remove_message(who.reach, Place(found_in, message_id, position)):
            raise NotFound("message", message_id)
        return found_in

    found_in = await store.write(work, message_id)
    project_id = who.reach.project_id
    audit.note(Event.MESSAGE_DELETED, principal=who.name, project=project_id, target=message_id, thread=found_in)
    return found_in


async def list_pages(store: Store, who: Principal, read: PageRead, *, known: bool = False) -> list[Rows]:
    """Return a page of messages of each thread; unless they are `known`, an empty one is checked.

    Errors: NotFound for a thread; InvalidRequest for a cursor that names no message of it; AnswerTooLarge.
    """
    who.require(READ)
    async with store.read() as reads:
        pages = await reads.list_pages(who.reach, read)
        if not known:
            for thread_id, found in zip(read.thread_ids, pages, strict=True):
                if not found.rows:
                    await _refuse_unknown(reads, who, thread_id, read.page)
    return pages


async def page_ends(
    store: Store,
    who: Principal,
    thread_id: ThreadId,
    page: PageRequest,
    found: Rows,
    *,
    run_id: str | None = None,
) -> PageEnds:
    """Say whether the list of messages continues before and after a page."""
    who.require(READ)
    return await paging.page_ends(
        store,
        page,
        found,
        lambda reads, cursor, up: reads.any_message_from(who.reach, thread_id, run_id, cursor, up=up),
    )


async def count_of_run(store: Store, who: Principal, thread_id: ThreadId, run_id: str) -> int:
    """Count the messages of one run; the count of all messages is kept on the thread."""
    who.require(READ)
    async with store.read() as reads:
        return await reads.count_messages_of_run(who.reach, thread_id, run_id)


async def _refuse_unknown(reads: Reads, who: Principal, thread_id: str, page: PageRequest) -> None:
    """Refuse an unknown thread or cursors; only an empty page needs this check."""
    if not await reads.get_threads(who.reach, [thread_id]):
        raise NotFound("thread", thread_id)
    await paging.refuse_unknown_cursors(page, partial(reads.has_place_in_thread, who.reach, thread_id))


def _is_user_message(new: NewMessage) -> bool:
    """Say whether a message has the role `user`, is completed, and belongs to no run or assistant."""
    is_whole = new.role is USER and new.status is COMPLETED
    return is_whole and new.run_id is None and new.assistant_id is None


def from_new(thread_id: ThreadId, new: NewMessage, created_at: int, key: IdempotencyKey | None = None) -> Message:
    """Return the message that is stored for a new one."""
    is_whole = new.status is COMPLETED
    fields = (  # in the order of those of `MessageRow`: by name they take five times as long
        new_message_id(),
        thread_id,
        created_at,
        new.role._value_,  # `value` is a function of Python's
        new.status._value_,
        dump(new.content),
        dump_text(new.attachments),
        dump_text(new.metadata),
        new.run_id,
        new.assistant_id,
        created_at if is_whole else None,
        None,  # incomplete_at
        None,  # reason_value
        plain_text(new.content),
        None if key is None else key.value,
    )
    return Message._make(fields)


async def _begin_change(
    transaction: Writes, who: Principal, thread_id: ThreadId | None, message_id: MessageId
) -> tuple[ThreadId, int]:
    """Lock the thread of a message, and return it with the position of the change.

    Errors: NotFound for the thread, or for the message where no thread is given.
    """
    if thread_id is None:
        return await transaction.next_position_of(who.reach, message_id)
    return thread_id, await transaction.next_position(who.reach, thread_id)
