"""The use cases of a message in progress: `messages.create` begins it, text is appended and it is finished here.

Each appended text is a row of its own (a delta), so that appending costs the same however long the message is; after
FOLD deltas the content is written as a whole, so that a read does not have to join thousands of deltas.
Must not be here: SQL, what a delta is in either face.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import bounds, validate
from gateway.domain.message import Message, Status, count_characters, plain_text, with_appended_text
from gateway.domain.principal import Scope
from gateway.errors import InvalidRequest, NotFound
from gateway.store.writes import Delta

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import MessageId
    from gateway.domain.message import Ending
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes

FOLD: Final = 200
_NUL: Final = "\0"


async def append_text(store: Store, who: Principal, message_id: MessageId, text: str) -> Message:
    """Append text to the last part of a message in progress, or begin a new part where the last one is no text.

    Errors: NotFound; InvalidRequest where the message is finished, or would grow too long.
    """
    who.require(Scope.READ, Scope.WRITE)

    async def work(transaction: Writes) -> Message:
        message, position = await _in_progress(transaction, who, message_id)
        last = await transaction.last_delta(who.reach, message.id)
        delta = _next_delta(message, last, text)
        grown = with_appended_text(message, [(delta.part_index, delta.text)])
        _refuse_too_long(grown)
        # PostgreSQL stores no NUL in a text; in the content, which is JSON, it is escaped. Both databases do the same.
        is_rewritten = _NUL in text
        if not is_rewritten:
            await transaction.add_delta(who.reach, message, position, delta)
        if delta.number >= FOLD:
            position = await transaction.next_position(who.reach, message.thread_id)
        if is_rewritten or delta.number >= FOLD:
            await transaction.set_message_content(who.reach, grown, position)
        return grown

    return await store.write(work)


async def finish(store: Store, who: Principal, message_id: MessageId, ending: Ending) -> Message:
    """Finish a message in progress.

    Errors: NotFound; InvalidRequest where it is already finished.
    """
    who.require(Scope.READ, Scope.WRITE)
    now = int(time.time())

    async def work(transaction: Writes) -> Message:
        message, position = await _in_progress(transaction, who, message_id)
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

    return await store.write(work)


async def _in_progress(transaction: Writes, who: Principal, message_id: MessageId) -> tuple[Message, int]:
    """Lock the thread of a message, and return the message as it is then, with its position."""
    seen = await _found(transaction, who, message_id)
    position = await transaction.next_position(who.reach, seen.thread_id)
    message = await _found(transaction, who, message_id)
    if message.status is not Status.IN_PROGRESS:
        reason = f"Message '{message_id}' is {message.status.value}. Expected a message in progress."
        raise InvalidRequest(reason, param="messageId", code="message_not_in_progress")
    return message, position


async def _found(transaction: Writes, who: Principal, message_id: MessageId) -> Message:
    found = (await transaction.get_messages(who.reach, [message_id])).get(message_id)
    if found is None:
        raise NotFound("message", message_id)
    return found


def _next_delta(message: Message, last: Delta | None, text: str) -> Delta:
    if last is not None:
        start, part_index, number = last.start + utf16_length(last.text), last.part_index, last.number + 1
    else:
        parts = orjson.loads(message.content_json)
        goes_on = bool(parts) and parts[-1]["type"] == "text"
        start = utf16_length(parts[-1]["text"]["value"]) if goes_on else 0
        part_index, number = len(parts) - 1 if goes_on else len(parts), 1
        if not goes_on:
            validate.total(len(parts) + 1, "text", bounds.CONTENT_PARTS)
    return Delta(number=number, part_index=part_index, start=start, text=text)


def _refuse_too_long(grown: Message) -> None:
    """Apply the bound of a new message to one that has grown; few bytes of content have no more characters."""
    if len(grown.content_json) > bounds.TEXT.number:
        validate.total(count_characters(orjson.loads(grown.content_json)), "text", bounds.TEXT)


def utf16_length(text: str) -> int:
    """Return the length of a text in UTF-16 code units, as in JavaScript."""
    return len(text) + sum(character > "\uffff" for character in text)
