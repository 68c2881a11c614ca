"""The use cases of a message in progress: `messages.create` begins it, text is appended and it is finished here.

Each appended text is a row of its own (a delta), so that appending costs the same however long the message is; after
FOLD deltas the content is written as a whole, so that a read does not have to join thousands of deltas.
Must not be here: SQL, what a delta is in either face.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.domain.delta import NO_DELTA, last_of
from gateway.domain.message import Message, Status, plain_text, with_appended_text
from gateway.domain.principal import Scope
from gateway.errors import InvalidRequest, NotFound
from gateway.store.writes import Place

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import MessageId
    from gateway.domain.message import Ending
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes

FOLD: Final = 200
_NUL: Final = "\0"
_NOT_READ: Final[list[Any]] = [None] * (len(Message._fields) - 2)  # all but the ids


async def append_text(
    store: Store, who: Principal, message_id: MessageId, text: str, *, is_read: bool = True
) -> Message:
    """Append text to the last part of a message in progress, or begin a new part where the last one is no text.

    The message is returned as it is then; where it is not read, it has nothing but its ids.
    Errors: NotFound; InvalidRequest where the message is finished, or would grow too long.
    """
    who.require(Scope.READ, Scope.WRITE)

    if not is_read and _NUL not in text:
        found_in = await store.append_delta(who.reach, message_id, NO_DELTA.followed_by(text), FOLD)
        if found_in is not None:
            return Message(message_id, found_in, *_NOT_READ)

    async def work(transaction: Writes) -> Message:
        thread_id, position = await transaction.next_position_of(who.reach, message_id)
        last, message = await transaction.last_delta(who.reach, message_id), None
        if last is None or last.characters is None:
            message = await _in_progress(transaction, who, message_id)
            last = last_of(message, last)
        delta = last.followed_by(text)
        # PostgreSQL stores no NUL in a text; in the content, which is JSON, it is escaped. Both databases do the same.
        is_rewritten = _NUL in text or delta.number >= FOLD
        if message is None and (is_read or is_rewritten):
            message = await _in_progress(transaction, who, message_id)
        if _NUL not in text:
            await transaction.add_delta(who.reach, Place(thread_id, message_id, position), delta)
        if message is None:
            return Message(message_id, thread_id, *_NOT_READ)
        grown = with_appended_text(message, [(delta.part_index, text)])
        if is_rewritten:
            if delta.number >= FOLD:
                position = await transaction.next_position(who.reach, thread_id)
            await transaction.set_message_content(who.reach, grown, position)
        return grown

    return await store.write(work, message_id)


async def finish(store: Store, who: Principal, message_id: MessageId, ending: Ending) -> Message:
    """Finish a message in progress.

    Errors: NotFound; InvalidRequest where it is already finished.
    """
    who.require(Scope.READ, Scope.WRITE)
    now = int(time.time())

    async def work(transaction: Writes) -> Message:
        _, position = await transaction.next_position_of(who.reach, message_id)
        message = await _in_progress(transaction, who, message_id)
        parts = orjson.loads(message.content_json)
        finished = message._replace(
            content_json=orjson.dumps(parts),
            plain_text=plain_text(parts),
            status_value=ending.status.value,
            completed_at=now if ending.status is Status.COMPLETED else None,
            incomplete_at=now if ending.status is Status.INCOMPLETE else None,
            reason_value=None if ending.reason is None else ending.reason.value,
        )
        await transaction.set_message_content(who.reach, finished, position)
        return finished

    return await store.write(work, message_id)


async def _in_progress(transaction: Writes, who: Principal, message_id: MessageId) -> Message:
    """Return a message whose thread the transaction has locked.

    Errors: NotFound; InvalidRequest where it is finished.
    """
    message = (await transaction.get_messages(who.reach, [message_id])).get(message_id)
    if message is None:
        raise NotFound("message", message_id)
    if message.status is not Status.IN_PROGRESS:
        reason = f"Message '{message_id}' is {message.status.value}. Expected a message in progress."
        raise InvalidRequest(reason, param="messageId", code="message_not_in_progress")
    return message
