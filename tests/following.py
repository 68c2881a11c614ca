"""What tests of following share: making and growing messages, bounded waiting, a client's picture of a thread."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gateway.core import follow, messages, streaming, threads
from gateway.domain import change, parse
from gateway.domain.delta import utf16_length
from gateway.domain.message import Ending, NewMessage, Role, Status
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.core import Store
    from gateway.domain.change import Change
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal
    from gateway.events.hub import Hub

PATIENCE_S: Final = patience(30)  # for what takes milliseconds on a machine that does nothing else
WHOLE: Final = Ending(Status.COMPLETED, None)

BEGINNING: Final = follow.Place(0, "")
T = TypeVar("T")


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": text, "annotations": []}}


async def make_thread(store: Store, who: Principal) -> ThreadId:
    return (await threads.create(store, who, parse.new_thread({}))).id


async def say(store: Store, who: Principal, thread_id: ThreadId, *texts: str) -> list[MessageId]:
    made = [await messages.create(store, who, thread_id, NewMessage(Role.USER, [text_part(text)])) for text in texts]
    return [each.id for each in made]


async def begin(store: Store, who: Principal, thread_id: ThreadId, *parts: dict[str, Any]) -> Message:
    new = NewMessage(Role.ASSISTANT, list(parts), status=Status.IN_PROGRESS)
    return await messages.create(store, who, thread_id, new)


async def grow(store: Store, who: Principal, message_id: MessageId, *pieces: str) -> None:
    for piece in pieces:
        await streaming.append_text(store, who, message_id, piece)


async def take(found: AsyncIterator[T], count: int) -> list[T]:
    """Take so many items, and fail where they do not come."""
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(found) for _ in range(count)]


async def rest_of(found: AsyncIterator[T]) -> list[T]:
    """Take all items until the end, and fail where that does not come."""
    async with asyncio.timeout(PATIENCE_S):
        return [each async for each in found]


async def until(is_so: Callable[[], bool]) -> None:
    """Poll for a state, and fail if it does not occur."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  (pools and logs have no event to wait for)
            await asyncio.sleep(0.005)


async def changes_after(
    store: Store, hub: Hub, who: Principal, thread_id: ThreadId, after: str, count: int
) -> list[Change]:
    """Take so many changes behind a cursor, without their cursors."""
    return [each for _, each in await changes_with_cursors(store, hub, who, thread_id, after, count)]


async def changes_with_cursors(
    store: Store, hub: Hub, who: Principal, thread_id: ThreadId, after: str, count: int
) -> list[tuple[str, Change]]:
    """Take so many changes behind a cursor, each with its own."""
    place = await follow.start(store, hub, who, thread_id, after)
    found = await take(follow.changes(store, hub, who, thread_id, place), count)
    return [(cursor, each) for cursor, each, _ in found]


@dataclass
class Picture:
    """What a client that follows a thread holds of it: id to status, texts of the parts, and metadata."""

    held: dict[str, tuple[str, list[str], dict[str, str]]] = field(default_factory=dict)
    is_deleted: bool = False

    def apply(self, told: Change) -> None:
        """Do what the schema tells a client to do."""
        match told:
            case change.MessageCreated(_, message) | change.MessageUpdated(_, message):
                parts = [getattr(getattr(part, "text", None), "value", "") for part in message.content]
                self.held[message.id] = (message.status.value, parts, dict(message.metadata))
            case change.MessageDelta(_, message_id, part_index, offset, text):
                if message_id not in self.held:
                    return  # its creation comes, with this text in it, or it has been deleted
                parts = self.held[message_id][1]
                parts += [""] * (part_index + 1 - len(parts))
                if offset == utf16_length(parts[part_index]):
                    parts[part_index] += text
            case change.MessageDeleted(_, message_id):
                self.held.pop(message_id, None)
            case change.ThreadDeleted():
                self.is_deleted = True

    @property
    def in_order_of_ids(self) -> dict[str, tuple[str, list[str], dict[str, str]]]:
        return dict(sorted(self.held.items()))


def picture_of(listed: list[dict[str, Any]]) -> dict[str, tuple[str, list[str], dict[str, str]]]:
    """Lay what REST lists out the same way."""
    shown = {
        each["id"]: (
            each["status"],
            [part["text"]["value"] if part["type"] == "text" else "" for part in each["content"]],
            each["metadata"],
        )
        for each in listed
    }
    return dict(sorted(shown.items()))
