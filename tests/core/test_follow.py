from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import epochs, follow, messages, threads
from gateway.domain import change, ids
from gateway.domain.message import Message, MessagePatch
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import ThreadPatch
from gateway.errors import InvalidRequest, NotFound, Unavailable
from gateway.store.engines.postgres import READS
from tests.following import (
    BEGINNING,
    changes_after,
    changes_with_cursors,
    make_thread,
    rest_of,
    say,
    take,
    until,
)
from tests.pace import patience

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.events.hub import Hub
    from gateway.store.writes import Writes


FOLLOWING = (follow.messages, follow.changes)


@pytest.fixture
async def thread(store: Store, who: Principal) -> ThreadId:
    return await make_thread(store, who)


async def followed(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, after: str | None, count: int
) -> list[str]:
    """Read the texts of so many messages behind a cursor."""
    position = await follow.start(store, hub, who, thread, after)
    async with aclosing(follow.messages(store, hub, who, thread, position)) as found:
        return [message.text for _, message, _ in await take(found, count)]


async def test_a_follower_without_a_cursor_gets_only_new_messages(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    await say(store, who, thread, "before")
    position = await follow.start(store, hub, who, thread, None)

    await say(store, who, thread, "after")

    [(_, message, _)] = await take(follow.messages(store, hub, who, thread, position), 1)
    assert message.text == "after"


async def test_a_message_id_as_cursor_resumes_after_that_message(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    _, second, *_ = await say(store, who, thread, "1", "2", "3", "4")

    assert await followed(store, hub, who, thread, second, 2) == ["3", "4"]


async def test_a_deleted_message_id_as_cursor_resumes_after_its_place(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    _, second, *_ = await say(store, who, thread, "1", "2", "3", "4")
    await messages.delete(store, who, thread, second)

    assert await followed(store, hub, who, thread, second, 2) == ["3", "4"]


async def test_the_cursor_of_a_change_resumes_with_the_next_change(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    made = await say(store, who, thread, "1", "2", "3")
    _, (cursor, _), _ = await changes_with_cursors(store, hub, who, thread, "0", 3)

    onwards = await changes_after(store, hub, who, thread, cursor, 1)

    assert [each.message.id for each in onwards if isinstance(each, change.MessageCreated)] == made[2:]


async def test_the_cursor_of_a_change_also_works_for_messages(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    await say(store, who, thread, "1", "2")
    [(cursor, _), _] = await changes_with_cursors(store, hub, who, thread, "0", 2)

    assert await followed(store, hub, who, thread, cursor, 1) == ["2"]


# "{}" is the end of a good one; a bare number is a cursor of version 0.1.
UNKNOWN = ("msg_unknown", "nonsense", "-1", "1", "1.5", "\u0663{}", "9" * 19 + "{}", "00{}", "01{}", "{}", "thread_x")


@pytest.mark.parametrize("cursor", UNKNOWN)
async def test_an_unknown_cursor_is_refused(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, cursor: str
) -> None:
    await say(store, who, thread, "1")
    cursor = cursor.format((await follow.start(store, hub, who, thread, "0")).mark)
    with pytest.raises(InvalidRequest) as refused:
        await follow.start(store, hub, who, thread, cursor)

    assert refused.value.param == "after"


async def test_the_error_of_an_unknown_cursor_names_what_is_one(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    with pytest.raises(InvalidRequest, match="'0', the cursor of an event of this thread, or the ID of a message"):
        await follow.start(store, hub, who, thread, "nonsense")


async def test_a_message_of_another_thread_is_no_cursor(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    [foreign] = await say(store, who, await make_thread(store, who), "elsewhere")

    with pytest.raises(InvalidRequest):
        await follow.start(store, hub, who, thread, foreign)


async def test_a_position_after_the_end_of_the_thread_is_no_cursor(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    # It is of another thread: a follower would wait without end.
    await say(store, who, thread, "1")
    mark = (await follow.start(store, hub, who, thread, None)).mark

    with pytest.raises(InvalidRequest):
        await follow.start(store, hub, who, thread, f"2{mark}")


async def test_a_cursor_of_another_epoch_is_unknown_and_its_followers_are_ended(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "CHECK_S", 0.01)
    await say(store, who, thread, "1", "2")
    (cursor, _), _ = await changes_with_cursors(store, hub, who, thread, "0", 2)
    assert await followed(store, hub, who, thread, cursor, 1) == ["2"]
    place = await follow.start(store, hub, who, thread, None)
    waiting = [asyncio.ensure_future(anext(each(store, hub, who, thread, place))) for each in FOLLOWING]
    await until(lambda: bool(hub.topics()))

    await epochs.renew(store)
    watching = asyncio.create_task(epochs.watch(store, hub))
    ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), patience(30))
    watching.cancel()

    assert [type(each) for each in ended] == [Unavailable, Unavailable]
    with pytest.raises(InvalidRequest):
        await follow.start(store, hub, who, thread, cursor)
    assert await followed(store, hub, who, thread, "0", 2) == ["1", "2"]


async def test_an_epoch_is_read_again_once_nobody_follows(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "CHECK_S", 0.01)
    before = await follow.start(store, hub, who, thread, None)
    await epochs.renew(store)
    watching = asyncio.create_task(epochs.watch(store, hub))
    await until(lambda: hub.epoch is None)
    watching.cancel()

    assert (await follow.start(store, hub, who, thread, None)).mark != before.mark


async def test_an_unknown_thread_cannot_be_followed(store: Store, hub: Hub, who: Principal) -> None:
    with pytest.raises(NotFound):
        await follow.start(store, hub, who, ids.new_thread_id(), None)


async def test_a_thread_of_another_project_cannot_be_followed(store: Store, hub: Hub, thread: ThreadId) -> None:
    with pytest.raises(NotFound):
        await follow.start(store, hub, Principal(Reach("another")), thread, None)


async def test_a_change_of_another_thread_wakes_no_follower(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    with hub.listen((who.reach.project_id, thread)) as hint:
        await say(store, who, await make_thread(store, who), "elsewhere")

        assert not hint.hints


async def test_a_rolled_back_change_wakes_no_follower(store: Store, hub: Hub, who: Principal, thread: ThreadId) -> None:
    async def work(transaction: Writes) -> None:
        await transaction.next_position(who.reach, thread)
        raise ZeroDivisionError

    with hub.listen((who.reach.project_id, thread)) as hint:
        with suppress(ZeroDivisionError):
            await store.write(work)

        assert not hint.hints


@pytest.mark.parametrize("missed", [1, 2, 3, 4, 6, 7])
async def test_missed_messages_are_complete_at_every_batch_boundary(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, missed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "BATCH", 3)
    texts = [str(n) for n in range(missed)]
    await say(store, who, thread, *texts)

    position = await follow.start(store, hub, who, thread, "0")
    async with aclosing(follow.messages(store, hub, who, thread, position)) as found:
        caught_up = [message.text for _, message, _ in await take(found, missed)]
        await say(store, who, thread, "live")
        live = [message.text for _, message, _ in await take(found, 1)]

    assert (caught_up, live) == (texts, ["live"])


@pytest.mark.parametrize("missed", [follow.BATCH, follow.BATCH + 1])
async def test_a_full_batch_of_changes_is_followed_by_the_live_one(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, missed: int
) -> None:
    made = await say(store, who, thread, *(str(n) for n in range(missed)))

    async with aclosing(follow.changes(store, hub, who, thread, BEGINNING)) as found:
        caught_up = await take(found, missed)
        await messages.delete(store, who, thread, made[0])
        [(_, live, _)] = await take(found, 1)

    assert [each.message.id for _, each, _ in caught_up if isinstance(each, change.MessageCreated)] == made
    assert live == change.MessageDeleted(missed + 1, made[0])


async def test_a_batch_of_only_deleted_messages_does_not_end_following(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "BATCH", 2)
    made = await say(store, who, thread, "1", "2", "3", "4")
    for each in made:
        await messages.delete(store, who, thread, each)

    found = await changes_after(store, hub, who, thread, "0", 4)

    assert [each.message_id for each in found if isinstance(each, change.MessageDeleted)] == made


async def test_every_kind_of_change_is_emitted_in_order(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    [first, second] = await say(store, who, thread, "1", "2")
    await messages.update(store, who, thread, first, MessagePatch({"a": "b"}))
    await threads.update(store, who, thread, ThreadPatch(metadata={"c": "d"}))
    await messages.delete(store, who, thread, second)

    found = await changes_after(store, hub, who, thread, "0", 4)

    assert [(type(each), each.position) for each in found] == [
        (change.MessageCreated, 1),
        (change.MessageUpdated, 3),
        (change.ThreadUpdated, 4),
        (change.MessageDeleted, 5),
    ]


async def test_following_messages_ends_when_the_thread_is_deleted(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    following = asyncio.create_task(rest_of(follow.messages(store, hub, who, thread, BEGINNING)))
    await until(lambda: bool(hub.topics()))

    await threads.delete(store, who, thread)

    assert await following == []


async def test_deleting_the_thread_is_the_last_change(store: Store, hub: Hub, who: Principal, thread: ThreadId) -> None:
    await say(store, who, thread, "1")
    found = follow.changes(store, hub, who, thread, BEGINNING)
    await take(found, 1)

    await threads.delete(store, who, thread)

    [last] = await rest_of(found)
    assert last[:2] == ("1", change.ThreadDeleted(1, thread))


async def test_a_disconnected_follower_is_removed_from_the_hub(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    await say(store, who, thread, "1")
    found = follow.messages(store, hub, who, thread, BEGINNING)
    await take(found, 1)
    waiting = asyncio.ensure_future(anext(found))
    await until(lambda: _borrowed(store) == 0)

    waiting.cancel()
    await asyncio.wait([waiting])

    assert hub.topics() == []


async def test_followers_hold_no_connection_while_they_wait(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    [first] = await say(store, who, thread, "1")
    found = [follow.messages(store, hub, who, thread, BEGINNING) for _ in range(READS * 2)]
    for each in found:
        await take(each, 1)
    waiting = [asyncio.ensure_future(anext(each)) for each in found]

    await until(lambda: _borrowed(store) == 0)
    assert not any(each.done() for each in waiting)
    await messages.get(store, who, thread, first)
    await say(store, who, thread, "2")
    async with asyncio.timeout(patience(30)):
        heard = [message.text for _, message, _ in await asyncio.gather(*waiting)]

    assert heard == ["2"] * len(found)
    for each in found:
        await each.aclose()


def _borrowed(store: Store) -> int:
    return store.connections()["reader"]


@pytest.mark.parametrize("follower", [follow.messages, follow.changes])
@pytest.mark.uncounted
async def test_a_waiting_follower_holds_only_the_last_message_it_emitted(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, follower: Any
) -> None:
    await say(store, who, thread, *map(str, range(20)))
    found = follower(store, hub, who, thread, BEGINNING)
    await take(found, 20)

    waiting = asyncio.create_task(anext(found))
    await until(lambda: bool(hub.listen((who.reach.project_id, thread))._waiting))  # noqa: SLF001

    gc.collect()
    held = [each for each in gc.get_objects() if isinstance(each, Message) and each.thread_id == thread]
    waiting.cancel()
    await asyncio.wait({waiting})
    assert len(held) <= 1
