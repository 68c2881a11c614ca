"""The use cases of a message in progress: `messages.create` begins it, text is appended and it is finished here.

Each appended text is a row of its own (a delta), so that appending costs the same however long the message is; after
FOLD deltas the content is written as a whole, so that a read does not have to join thousands of deltas.
Must not be here: SQL, what a delta is in either face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.core.clock import now_ms
from gateway.domain.delta import NO_DELTA, last_of
from gateway.domain.message import Message, Status, append_texts, finished, plain_text
from gateway.domain.principal import Scope
from gateway.errors import InvalidRequest, NotFound, OffsetConflict
from gateway.store.writes import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gateway.core import Store
    from gateway.domain.delta import Delta
    from gateway.domain.ids import MessageId
    from gateway.domain.message import Ending
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes

FOLD: Final = 200
_NUL: Final = "\0"
_NOT_READ: Final[list[Any]] = [None] * (len(Message._fields) - 2)  # all but the ids


class _Repeated(Exception):
    """The change was made before; the transaction is rolled back, so that it takes no position."""

    def __init__(self, message: Message) -> None:
        super().__init__()
        self.message = message


async def append_text(
    store: Store, who: Principal, message_id: MessageId, text: str, *, offset: int | None = None, is_read: bool = True
) -> Message:
    """Append text to the last part of a message in progress, or begin a new part where the last one is no text.

    With an offset, where the caller expects that part to end, a text that is there already is not appended again. The
    message is returned as it is then; without `is_read`, it has only its ids.
    Units: `offset` is in UTF-16 code units, like `length` in JavaScript.
    Errors: NotFound; OffsetConflict; InvalidRequest where the message is finished, or would grow too long.
    """
    who.require(Scope.READ, Scope.WRITE)

    if not is_read and _NUL not in text:
        found_in = await store.append_delta(who.reach, message_id, NO_DELTA.followed_by(text), FOLD, offset)
        if found_in is not None:
            return Message(message_id, found_in, *_NOT_READ)

    async def work(transaction: Writes) -> Message:
        thread_id, position = await transaction.next_position_of(who.reach, message_id)
        last, message = await _last_delta(transaction, who, message_id, text, offset)
        delta = last.followed_by(text)
        # PostgreSQL stores no NUL in a text; in the content, which is JSON, it is escaped. Both databases do the same.
        is_rewritten = _NUL in text or delta.number >= FOLD
        if message is None and (is_read or is_rewritten):
            message = await _in_progress(transaction, who, message_id)
        if _NUL not in text:
            await transaction.add_delta(who.reach, Place(thread_id, message_id, position), delta)
        if message is None:
            return Message(message_id, thread_id, *_NOT_READ)
        parts = orjson.loads(message.content_json)
        append_texts(parts, {delta.part_index: [text]})
        grown = message._replace(content_json=orjson.dumps(parts), plain_text=plain_text(parts))
        if is_rewritten:
            if delta.number >= FOLD:
                position = await transaction.next_position(who.reach, thread_id)
            await transaction.set_message_content(who.reach, grown, position)
        return grown

    return await _once(store.write(work, message_id))


async def finish(store: Store, who: Principal, message_id: MessageId, ending: Ending) -> Message:
    """Finish a message in progress; one that has already ended in the same way is returned as it is.

    Errors: NotFound; InvalidRequest where it is already finished in another way.
    """
    who.require(Scope.READ, Scope.WRITE)
    active_at = now_ms()
    now = active_at // 1_000

    async def work(transaction: Writes) -> Message:
        position = await transaction.begin_finish(who.reach, message_id, active_at)
        message = await _found(transaction, who, message_id)
        if (message.status, message.incomplete_reason) == (ending.status, ending.reason):
            raise _Repeated(message)
        _require_in_progress(message)
        message = finished(message, ending, now)
        await transaction.set_message_content(who.reach, message, position)
        return message

    return await _once(store.write(work, message_id))


async def _once(written: Awaitable[Message]) -> Message:
    try:
        return await written
    except _Repeated as repeated:
        return repeated.message


async def _last_delta(
    transaction: Writes, who: Principal, message_id: MessageId, text: str, offset: int | None
) -> tuple[Delta, Message | None]:
    """Return the last delta of a message in progress, or an equivalent one, and the message if it had to be read.

    Errors: NotFound; OffsetConflict; _Repeated; InvalidRequest where the message is finished.
    """
    last, message = await transaction.last_delta(who.reach, message_id), None
    if last is None or last.characters is None:
        message = await _found(transaction, who, message_id)
        if message.status is not Status.IN_PROGRESS and _holds(message, text, offset):
            raise _Repeated(message)
        _require_in_progress(message)
        last = last_of(message, last)
    if offset not in (None, last.next_start):
        message = message or await _in_progress(transaction, who, message_id)
        if _holds(message, text, offset):
            raise _Repeated(message)
        raise OffsetConflict(last.next_start or 0)
    return last, message


def _holds(message: Message, text: str, offset: int | None) -> bool:
    """Say whether the last part of a message is a text that contains all of another one at an offset."""
    parts = orjson.loads(message.content_json)
    if offset is None or not parts or parts[-1]["type"] != "text":
        return False
    units, wanted = (each.encode("utf-16-le") for each in (parts[-1]["text"]["value"], text))
    return units[2 * offset : 2 * offset + len(wanted)] == wanted


async def _found(transaction: Writes, who: Principal, message_id: MessageId) -> Message:
    """Return a message whose thread the transaction has locked.

    Errors: NotFound.
    """
    message = (await transaction.get_messages(who.reach, [message_id])).get(message_id)
    if message is None:
        raise NotFound("message", message_id)
    return message


async def _in_progress(transaction: Writes, who: Principal, message_id: MessageId) -> Message:
    """Return the same if the message is in progress.

    Errors: NotFound; InvalidRequest where it is finished.
    """
    message = await _found(transaction, who, message_id)
    _require_in_progress(message)
    return message


def _require_in_progress(message: Message) -> None:
    if message.status is not Status.IN_PROGRESS:
        reason = f"Message '{message.id}' is {message.status.value}. Expected a message in progress."
        raise InvalidRequest(reason, param="messageId", code="message_not_in_progress")
