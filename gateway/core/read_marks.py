"""The use cases of read marks: how far a reader has read a thread, and what is unread of it.

A reader is an end user, the holder of a thread token, or whom an API key names; these namespaces are disjoint. Unread
are the messages of assistants, and of other end users and tokens, after the mark; the author of a message has read the
thread up to it. The author of a message that was posted with an API key is not known.
Must not be here: SQL, how a request names a reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.domain.principal import Scope
from gateway.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes


def reader_of(who: Principal, name: str | None) -> str | None:
    """Return the reader that a caller is or names; None for an API key that names none.

    Errors: InvalidRequest where one is named who cannot be.
    """
    if who.has_project:
        return None if name is None else f"reader:{name}"
    if name is not None:
        message = "Invalid 'reader'. Expected null, since the caller is an end user or has a token for one thread."
        raise InvalidRequest(message, param="reader", code="invalid_value")
    return who.identity


def author_of(who: Principal) -> str | None:
    """Return the caller as a reader, when it writes; None for an API key, which writes for many."""
    return None if who.has_project else who.identity


def readers_of(owner: str) -> tuple[str, str]:
    """Return all names of an end user as a reader."""
    return f"user:{owner}", f"reader:{owner}"


async def mark_read(
    store: Store, who: Principal, thread_id: ThreadId, up_to: MessageId | None, reader: str | None
) -> None:
    """Note that a reader has read a thread up to a message, or all of it; a later mark stays.

    Errors: NotFound for the thread, then for the message in it; InvalidRequest without a reader.
    """
    marker = _reader(who, reader)

    async def work(transaction: Writes) -> None:
        last, mark = await transaction.find_end(who.reach, thread_id, marker)
        position = last if up_to is None else await _position(transaction, who, thread_id, up_to)
        if mark is not None and mark >= position:
            return
        await transaction.lock_end(who.reach, thread_id)
        await transaction.raise_mark(who.reach, thread_id, marker, position)

    await store.write(work, thread_id)


async def mark_unread(store: Store, who: Principal, thread_id: ThreadId, from_: MessageId, reader: str | None) -> None:
    """Note that a reader has not read a thread from a message on; an earlier mark stays.

    Errors: NotFound for the thread, then for the message in it; InvalidRequest without a reader.
    """
    marker = _reader(who, reader)

    async def work(transaction: Writes) -> None:
        _, mark = await transaction.find_end(who.reach, thread_id, marker)
        position = await _position(transaction, who, thread_id, from_)
        if mark is None or mark < position:
            return
        await transaction.lock_end(who.reach, thread_id)
        await transaction.lower_mark(who.reach, thread_id, marker, position - 1)

    await store.write(work, thread_id)


def _reader(who: Principal, name: str | None) -> str:
    who.require(Scope.READ)
    reader = reader_of(who, name)
    if reader is None:
        message = "Missing 'reader'. An API key reads for many: name the reader whose mark it moves."
        raise InvalidRequest(message, param="reader", code="missing_required_parameter")
    return reader


async def _position(transaction: Writes, who: Principal, thread_id: ThreadId, message_id: MessageId) -> int:
    position = await transaction.position_of(who.reach, thread_id, message_id)
    if position is None:
        raise NotFound("message", message_id)
    return position
