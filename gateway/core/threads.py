"""The use cases of threads: one function is one use case and one transaction.

Must not be here: parsing requests, rendering responses, SQL.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gateway.core import messages, paging
from gateway.core.clock import now_ms
from gateway.core.idempotency import create_once, read_created
from gateway.core.read_marks import author_of, reader_of
from gateway.domain import metadata, parse
from gateway.domain.idempotency import Kind
from gateway.domain.ids import new_thread_id
from gateway.domain.principal import READ, WRITE
from gateway.domain.thread import Inferred, Thread
from gateway.domain.thread_list import ALL, NOTHING
from gateway.domain.unset import UNSET
from gateway.domain.wire import dump_text
from gateway.errors import InvalidRequest, NotFound
from gateway.observability import audit
from gateway.observability.audit import Event
from gateway.store.reads import Reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.domain.idempotency import Attempt
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.page import Page, PageEnds, PageRequest
    from gateway.domain.principal import Principal
    from gateway.domain.thread import NewThread, ThreadPatch
    from gateway.domain.thread_list import Beside, Selection, ThreadFilter, ThreadPage
    from gateway.store.writes import Writes


async def create(store: Store, who: Principal, new: NewThread, attempt: Attempt | None = None) -> Thread:
    """Create a thread with its first messages, all or nothing.

    Errors: Forbidden; InvalidRequest where an end user creates it for another one; those of an idempotency key.
    """
    thread, added = from_new(who, new)
    key = None if attempt is None else attempt.identify(who, Kind.THREAD, None, new)
    made = thread if key is None else thread._replace(idempotency_key=key.value)

    async def add() -> Thread:
        await store.write(lambda transaction: transaction.add_thread(who.reach, made, added, key, author_of(who)))
        return made

    def as_made(found: Thread) -> Thread:
        second = found.created_at
        return made._replace(id=found.id, created_at=second, activity_at=1_000 * second)

    read = partial(read_created, store, who, "thread", find=Reads.get_threads, as_made=as_made)
    return await create_once(store, who, attempt, key, create=add, read=read)


def from_new(who: Principal, new: NewThread) -> tuple[Thread, list[Message]]:
    """Return the thread and the messages that are stored for a new thread.

    Errors: as for `create`.
    """
    who.require(WRITE)
    who.require_many_threads()
    active_at = now_ms()
    now = active_at // 1_000
    thread = Thread(
        id=new_thread_id(),
        created_at=now,
        metadata_json=dump_text(new.metadata),
        tool_resources_json=dump_text(new.tool_resources),
        message_count=len(new.messages),
        owner=owner_of_new(who, new.owner),
        activity_at=active_at,
    )
    return thread, [messages.from_new(thread.id, each, now) for each in new.messages]


async def get(store: Store, who: Principal, thread_id: ThreadId) -> Thread:
    """Return a thread.

    Errors: NotFound.
    """
    found = await get_many(store, who, [thread_id])
    if thread_id not in found:
        raise NotFound("thread", thread_id)
    return found[thread_id]


async def get_many(store: Store, who: Principal, thread_ids: Sequence[str]) -> dict[str, Thread]:
    """Return threads by id in one statement; unknown ids are omitted."""
    who.require(READ)
    async with store.read() as reads:
        return await reads.get_threads(who.reach, thread_ids)


async def update(store: Store, who: Principal, thread_id: ThreadId, patch: ThreadPatch) -> Thread:
    """Update a thread: metadata key by key, tool resources as a whole.

    Errors: NotFound; InvalidRequest where the merged metadata has too many pairs.
    """
    who.require(READ, WRITE)

    async def work(transaction: Writes) -> Thread:
        thread, position = await transaction.begin_change(who.reach, thread_id)
        given = Inferred(0)
        if patch.metadata is not UNSET:
            given |= Inferred.METADATA
            thread = thread._replace(metadata_json=dump_text(metadata.merge(thread.metadata, patch.metadata)))
        if patch.tool_resources is not UNSET:
            given |= Inferred.TOOL_RESOURCES
            thread = thread._replace(tool_resources_json=dump_text(patch.tool_resources))
        await transaction.set_thread(who.reach, thread, given, position)
        return thread

    return await store.write(work, thread_id)


async def delete(store: Store, who: Principal, thread_id: ThreadId) -> None:
    """Delete a thread and all its messages permanently; rows of a long one are removed in steps (`filling.watch`).

    Errors: NotFound, also if it is already deleted.
    """
    who.require(WRITE)
    who.require_many_threads()

    async def work(transaction: Writes) -> bool:
        if await transaction.remove_thread(who.reach, thread_id):
            return True
        await transaction.hide_thread(who.reach, thread_id)
        return False

    if not await store.write(work, thread_id):
        store.leftovers.set()
    audit.note(Event.THREAD_DELETED, principal=who.name, project=who.reach.project_id, target=thread_id)


async def list_page(
    store: Store, who: Principal, page: PageRequest, selected: Selection = ALL, beside: Beside = NOTHING
) -> ThreadPage:
    """Return one page of the threads that the caller can reach, with what `beside` requests of each.

    Errors: InvalidRequest for a cursor that names none of them; AnswerTooLarge.
    """
    who.require(READ)
    selected = _read_by(who, selected)
    async with store.read() as reads:
        found = await reads.list_threads(who.reach, page, selected, beside)
        if not found.items and (reach := selected.narrow(who.reach)) is not None:

            async def has_place(cursor: str) -> bool:
                return await reads.has_place_among_threads(reach, selected.thread_of(cursor))

            await paging.refuse_unknown_cursors(page, has_place)
    return found


async def list_beside(store: Store, who: Principal, thread_ids: Sequence[str], beside: Beside) -> ThreadPage:
    """Return threads with what `beside` requests of each, in one statement; unknown ids are omitted.

    Errors: AnswerTooLarge.
    """
    who.require(READ)
    async with store.read() as reads:
        return await reads.list_beside(who.reach, thread_ids, beside)


async def page_ends(
    store: Store, who: Principal, page: PageRequest, found: Page[Thread], selected: Selection = ALL
) -> PageEnds:
    """Say whether the list of threads continues before and after a page."""
    who.require(READ)
    selected = _read_by(who, selected)
    return await paging.page_ends(
        store, page, found, lambda reads, cursor, up: reads.any_thread_from(who.reach, cursor, up=up, selected=selected)
    )


async def count(store: Store, who: Principal, selected: Selection = ALL) -> int:
    """Count the threads that the caller can reach."""
    who.require(READ)
    selected = _read_by(who, selected)
    async with store.read() as reads:
        return await reads.count_threads(who.reach, selected)


def check_filter(who: Principal, only: ThreadFilter | None) -> str | None:
    """Check that a caller can see what a filter compares, and return the reader (`reader_of`).

    A token for one thread does not show the owner, so a filter must not reveal it.
    Errors: InvalidRequest.
    """
    if only is None:
        return reader_of(who, None)
    for param, asked in (("owner", only.owner), ("has_owner", only.has_owner)):
        if asked is not None and who.reach.thread_id is not None:
            message = f"Invalid '{param}'. Expected null, since a token for one thread does not see the owner."
            raise InvalidRequest(message, param=param, code="invalid_value")
    return reader_of(who, only.reader)


def _read_by(who: Principal, selected: Selection) -> Selection:
    """Set the reader of a filter on unread messages.

    Errors: InvalidRequest where there is none, or one is named who cannot be.
    """
    only = selected.only
    if only is None:
        return selected
    reader = check_filter(who, only)
    if only.unread is None and only.reader is None:
        return selected
    if reader is None:
        message = "Missing 'reader'. An API key reads for many: name the reader."
        raise InvalidRequest(message, param="reader", code="missing_required_parameter")
    return selected._replace(only=replace(only, reader=reader))


def owner_of_new(who: Principal, asked: str | None) -> str | None:
    """Return the owner of a new thread: an end user owns its threads, a project's key creates them for any end user.

    A name that new threads cannot have still gives access to the threads that have it.
    """
    own = who.reach.owner
    if own is not None and asked not in (None, own):
        raise InvalidRequest(
            "Invalid 'owner'. Expected null or the calling end user.", param="owner", code="invalid_value"
        )
    return asked if own is None else parse.new_owner(own)
