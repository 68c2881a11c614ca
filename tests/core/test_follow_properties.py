"""Whatever happens in a thread, and wherever a follower disconnects and resumes, it ends with what REST lists."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import follow, messages, streaming, threads
from gateway.domain import change
from gateway.domain.message import MessagePatch
from gateway.domain.thread import ThreadPatch
from gateway.errors import InvalidRequest, NotFound
from tests.effort import times
from tests.following import PATIENCE_S, WHOLE, Picture, begin, make_thread, picture_of, say, text_part

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.principal import Principal
    from gateway.events.hub import Hub

END = "the end"
TEXTS = st.sampled_from(["a", "bc", "\U0001f600", "\u00e9\U0001f600d"])
WHICH = st.integers(0, 7)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["create", "begin"]), TEXTS),
        st.tuples(st.just("append"), WHICH, TEXTS),
        st.tuples(st.sampled_from(["finish", "update", "delete"]), WHICH),
        st.tuples(st.sampled_from(["touch", "breathe", "cut messages", "cut changes"])),
    ),
    max_size=25,
)
PROPERTY = settings(max_examples=times(fast=6, slow=100))


@pytest.fixture(autouse=True)
def _small_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "BATCH", 3)
    monkeypatch.setattr(streaming, "FOLD", 3)


@dataclass
class Followers:
    """One client of each subscription, which may disconnect at any time and resumes after its last event."""

    store: Store
    hub: Hub
    who: Principal
    thread_id: ThreadId
    transcript: list[MessageId] = field(default_factory=list)
    picture: Picture = field(default_factory=Picture)
    _cursors: dict[str, str] = field(default_factory=lambda: {"messages": "0", "changes": "0"})
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def connect(self, which: str) -> None:
        following = {"messages": self._follow_messages, "changes": self._follow_changes}
        self._running[which] = asyncio.create_task(following[which]())

    async def cut(self, which: str) -> None:
        self._running[which].cancel()
        with suppress(asyncio.CancelledError):
            await self._running[which]
        self.connect(which)

    async def have_come_to_the_end(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*self._running.values())

    async def _follow_messages(self) -> None:
        position = await follow.start(self.store, self.hub, self.who, self.thread_id, self._cursors["messages"])
        async with aclosing(follow.messages(self.store, self.hub, self.who, self.thread_id, position)) as found:
            async for _, message, _ in found:
                self.transcript.append(message.id)
                self._cursors["messages"] = message.id
                if message.text == END:
                    return

    async def _follow_changes(self) -> None:
        position = await follow.start(self.store, self.hub, self.who, self.thread_id, self._cursors["changes"])
        async with aclosing(follow.changes(self.store, self.hub, self.who, self.thread_id, position)) as found:
            async for at, event, _ in found:
                self.picture.apply(event)
                self._cursors["changes"] = str(at)
                if isinstance(event, change.MessageCreated) and event.message.text == END:
                    return


async def live_through(followers: Followers, steps: list[tuple[Any, ...]]) -> list[MessageId]:
    """Do what the steps say, and give the ids of all messages in the order of their making."""
    store, who, thread_id = followers.store, followers.who, followers.thread_id
    made: list[MessageId] = []
    for what, *given_ in steps:
        one = made[given_[0] % len(made)] if made and given_ and isinstance(given_[0], int) else None
        match what, one:
            case "create", _:
                made += await say(store, who, thread_id, given_[0])
            case "begin", _:
                made.append((await begin(store, who, thread_id, text_part(given_[0]))).id)
            case "touch", _:
                await threads.update(store, who, thread_id, ThreadPatch(metadata={"a": "b"}))
            case "breathe", _:
                await asyncio.sleep(0)
            case (("cut messages" | "cut changes"), _):
                await followers.cut(what.removeprefix("cut "))
            case _, None:
                pass
            case _, message_id:
                with suppress(NotFound, InvalidRequest):  # it is deleted, or finished
                    await _change(store, who, thread_id, message_id, what, given_[1:])
    return made


async def _change(
    store: Store, who: Principal, thread_id: ThreadId, message_id: MessageId, what: str, given_: list[Any]
) -> None:
    match what:
        case "append":
            await streaming.append_text(store, who, message_id, given_[0])
        case "finish":
            await streaming.finish(store, who, message_id, WHOLE)
        case "update":
            await messages.update(store, who, thread_id, message_id, MessagePatch({"at": "all"}))
        case "delete":
            await messages.delete(store, who, thread_id, message_id)


@PROPERTY
@given(steps=STEPS)
async def test_a_follower_has_received_what_rest_lists(
    store: Store, hub: Hub, who: Principal, rest: httpx.AsyncClient, steps: list[tuple[Any, ...]]
) -> None:
    followers = Followers(store, hub, who, await make_thread(store, who))
    followers.connect("messages")
    followers.connect("changes")

    made = await live_through(followers, steps)
    made += await say(store, who, followers.thread_id, END)
    await followers.have_come_to_the_end()

    listed = (await rest.get(f"/threads/{followers.thread_id}/messages?order=asc&limit=100")).json()["data"]
    living = {each["id"] for each in listed}
    assert followers.picture.in_order_of_ids == picture_of(listed)
    assert followers.transcript == [each for each in made if each in set(followers.transcript)]
    assert living <= set(followers.transcript)
    assert hub.topics() == []


@PROPERTY
@given(steps=STEPS)
async def test_a_late_follower_receives_what_rest_lists(
    store: Store, hub: Hub, who: Principal, rest: httpx.AsyncClient, steps: list[tuple[Any, ...]]
) -> None:
    followers = Followers(store, hub, who, await make_thread(store, who))
    await live_through(followers, [each for each in steps if not each[0].startswith("cut")])
    await say(store, who, followers.thread_id, END)

    followers.connect("messages")
    followers.connect("changes")
    await followers.have_come_to_the_end()

    listed = (await rest.get(f"/threads/{followers.thread_id}/messages?order=asc&limit=100")).json()["data"]
    assert followers.picture.in_order_of_ids == picture_of(listed)
    assert followers.transcript == [each["id"] for each in listed]


async def test_the_text_of_a_message_in_progress_never_gets_shorter(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    written = (await begin(store, who, thread_id)).id
    seen: list[int] = []

    async def read() -> None:
        while not seen or seen[-1] < 20:
            seen.append(len((await messages.get_many(store, who, [written])).by_id()[written].text))

    reading = asyncio.create_task(read())
    for _ in range(20):  # six folds
        await streaming.append_text(store, who, written, "x")
    async with asyncio.timeout(PATIENCE_S):
        await reading

    assert seen == sorted(seen)
