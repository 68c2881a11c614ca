"""Followers that read a thread together each get what they would get alone."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import follow, messages, streaming, threads
from gateway.domain.message import MessagePatch
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import ThreadPatch
from gateway.errors import InvalidRequest, NotFound, Unavailable
from gateway.events.hub import Hub
from gateway.store.reads import Reads
from gateway.store.store import open_store
from tests.effort import times
from tests.following import BEGINNING, WHOLE, begin, make_thread, say, text_part, until
from tests.graphql.serving import statements_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection

    from gateway.core import Store
    from gateway.domain.change import Hint
    from gateway.domain.ids import MessageId, ThreadId

MANY = 10
FOLLOWS = pytest.mark.parametrize("following", [follow.messages, follow.changes])
TEXTS = st.sampled_from(["a", "\U0001f600"])
WHICH = st.integers(0, 5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["create", "begin"]), TEXTS),
        st.tuples(st.just("append"), WHICH, TEXTS),
        st.tuples(st.sampled_from(["finish", "update", "delete"]), WHICH),
        st.tuples(st.just("touch")),
        st.tuples(st.sampled_from(["join", "lag", "go on", "leave"]), WHICH),
    ),
    max_size=20,
)


@dataclass
class Counted:
    """The store and the hub of one process, and how often its followers have read."""

    store: Store
    hub: Hub
    reads: list[int]
    fails: bool = False

    async def followers(self, following: Any, who: Principal, thread: ThreadId) -> list[AsyncGenerator[Any, None]]:
        """Open many at one position, and wait until all wait."""
        position = await follow.start(self.store, self.hub, who, thread, None)
        return [following(self.store, self.hub, who, thread, position) for _ in range(MANY)]

    def waiting(self, who: Principal, thread: ThreadId) -> int:
        return waiting_in(self.hub, who, thread)


@pytest.fixture
async def counted(store: Store, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Counted:
    found = Counted(store, hub, [])
    for name in ("list_messages_after", "list_changes"):
        read = getattr(Reads, name)

        async def counting(own: Reads, reach: Reach, thread: str, position: int, limit: int, read: Any = read) -> Any:
            found.reads.append(position)
            if found.fails:
                await asyncio.sleep(0)  # so that all have asked
                raise Unavailable("the database is down")
            return await read(own, reach, thread, position, limit)

        monkeypatch.setattr(Reads, name, counting)
    return found


def waiting_in(hub: Hub, who: Principal, thread: ThreadId) -> int:
    return len(hub.listen((who.reach.project_id, thread))._waiting)  # noqa: SLF001


async def waiting_for_the_next(
    counted: Counted, following: Any, who: Principal, thread: ThreadId
) -> tuple[list[AsyncGenerator[Any, None]], list[asyncio.Task[Any]]]:
    found = await counted.followers(following, who, thread)
    asked = [asyncio.create_task(anext(each)) for each in found]
    await until(lambda: counted.waiting(who, thread) == MANY)
    counted.reads.clear()
    return found, asked


async def leave(found: list[AsyncGenerator[Any, None]]) -> None:
    for each in found:
        await each.aclose()


@FOLLOWS
async def test_one_read_per_event_serves_all_followers(counted: Counted, who: Principal, following: Any) -> None:
    thread = await make_thread(counted.store, who)
    found, asked = await waiting_for_the_next(counted, following, who, thread)

    for n in range(3):
        await say(counted.store, who, thread, str(n))
        heard = await asyncio.gather(*asked)
        asked = [asyncio.create_task(anext(each)) for each in found]
        await until(lambda: counted.waiting(who, thread) == MANY)

        assert len({id(each) for each in heard}) == 1
        assert counted.reads == list(range(n + 1))

    for each in asked:
        each.cancel()
    await asyncio.wait(asked)
    await leave(found)
    assert counted.hub.topics() == []


@FOLLOWS
async def test_an_event_is_one_statement_for_all_followers(counted: Counted, who: Principal, following: Any) -> None:
    thread = await make_thread(counted.store, who)
    found, asked = await waiting_for_the_next(counted, following, who, thread)

    with statements_of(counted.store) as ran:
        await say(counted.store, who, thread, "hello")
        await asyncio.gather(*asked)

    assert len([each for each in ran if each.startswith("SELECT")]) == 1
    await leave(found)


async def test_followers_of_unlike_reach_share_no_read(counted: Counted) -> None:
    owner = Principal(Reach("default", owner="alice"))
    thread = await make_thread(counted.store, owner)
    of_project, of_one = Principal(Reach("default")), Principal(Reach("default", thread_id=thread))
    callers = [owner, of_project, of_one]
    found = [follow.changes(counted.store, counted.hub, each, thread, BEGINNING) for each in callers]
    asked = [asyncio.create_task(anext(each)) for each in found]
    await until(lambda: counted.waiting(owner, thread) == len(callers))
    counted.reads.clear()

    await say(counted.store, owner, thread, "hello")
    heard = await asyncio.gather(*asked)

    assert len(counted.reads) == len(callers)
    assert len({id(each) for each in heard}) == len(callers)
    await leave(found)


async def test_a_follower_that_leaves_during_its_read_takes_nobody_with_it(counted: Counted, who: Principal) -> None:
    thread = await make_thread(counted.store, who)
    found, asked = await waiting_for_the_next(counted, follow.changes, who, thread)

    await say(counted.store, who, thread, "hello")
    await until(lambda: bool(counted.reads))
    asked[0].cancel()
    heard = await asyncio.gather(*asked, return_exceptions=True)

    assert [each.item.message.text for each in heard if not isinstance(each, BaseException)].count("hello") >= MANY - 1
    await leave(found)


async def test_a_read_that_fails_ends_all_that_wait_for_it(counted: Counted, who: Principal) -> None:
    thread = await make_thread(counted.store, who)
    _, asked = await waiting_for_the_next(counted, follow.changes, who, thread)

    counted.fails = True
    counted.hub.wake_all()
    heard = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(each) for each in heard} == {Unavailable}
    assert len(counted.reads) == 1
    assert counted.hub.topics() == []


async def test_a_follower_that_joins_after_a_hint_joins_no_older_read(
    counted: Counted, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await make_thread(counted.store, who)
    read, is_read, may_end = Reads.list_changes, asyncio.Event(), asyncio.Event()

    async def slow(*given: Any) -> Any:
        found = await read(*given)
        is_read.set()
        await may_end.wait()
        return found

    monkeypatch.setattr(Reads, "list_changes", slow)
    early, late = [follow.changes(counted.store, counted.hub, who, thread, BEGINNING) for _ in range(2)]
    first = asyncio.create_task(anext(early))
    await is_read.wait()
    await say(counted.store, who, thread, "hello")
    second = asyncio.create_task(anext(late))
    await until(lambda: len(counted.reads) == 2)
    may_end.set()

    heard = await asyncio.gather(first, second)

    assert [each.cursor for each in heard] == ["1", "1"]
    await leave([early, late])


@dataclass
class Twins:
    """A follower that reads with others, and one of the same thread that reads alone; both lag and go on together."""

    store: Store
    hubs: dict[str, Hub]
    who: Principal
    thread: ThreadId
    following: Any
    heard: dict[str, list[Any]] = field(default_factory=lambda: {"together": [], "alone": []})
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    is_held: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def join(self) -> None:
        self.may_go_on.set()
        place = await follow.start(self.store, self.hubs["alone"], self.who, self.thread, None)
        self.tasks = [asyncio.create_task(self._follow(name, hub, place)) for name, hub in self.hubs.items()]

    async def _follow(self, name: str, hub: Hub, place: follow.Place) -> None:
        async with aclosing(self.following(self.store, hub, self.who, self.thread, place)) as found:
            async for at, item, _ in found:
                self.heard[name].append((at, item))
                self.is_held += 1
                try:
                    await self.may_go_on.wait()
                finally:
                    self.is_held -= 1

    async def leave(self) -> None:
        for each in self.tasks:
            each.cancel()
        await asyncio.wait(self.tasks)


@pytest.fixture
async def in_hubs(database_url: str) -> AsyncIterator[tuple[Store, list[Hub]]]:
    """Open a store that wakes several hubs."""
    hubs: list[Hub] = []

    def wake_all(hints: Collection[Hint]) -> None:
        for each in hubs:
            each.wake(hints)

    opened = open_store(database_url, wake_all)
    yield opened, hubs
    await opened.close()


@settings(max_examples=times(fast=4, slow=100))
@given(steps=STEPS)
async def test_each_gets_the_sequence_of_a_follower_that_reads_alone(
    in_hubs: tuple[Store, list[Hub]], who: Principal, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setattr(follow, "BATCH", 3)
    monkeypatch.setattr(streaming, "FOLD", 3)
    store, hubs = in_hubs
    together = Hub()
    hubs[:] = [together]
    thread = await make_thread(store, who)
    world = World(store, hubs, together, who, thread)
    for _ in range(4):
        await world.join()
    for step in [*steps, ("create", "a"), *[("go on", n) for n in range(len(steps) + 4)]]:
        await world.do(*step)
        await world.is_quiet()

        assert [each.heard["together"] for each in world.twins] == [each.heard["alone"] for each in world.twins]
    for each in world.twins:
        await each.leave()
    assert all(not each.topics() for each in hubs)


@dataclass
class World:
    """A thread with its followers, each with a twin on a hub of its own."""

    store: Store
    hubs: list[Hub]
    together: Hub
    who: Principal
    thread: ThreadId
    twins: list[Twins] = field(default_factory=list)
    made: list[MessageId] = field(default_factory=list)

    async def join(self) -> None:
        own = Hub()
        self.hubs.append(own)
        following = (follow.messages, follow.changes)[len(self.twins) % 2]
        twins = Twins(self.store, {"together": self.together, "alone": own}, self.who, self.thread, following)
        self.twins.append(twins)
        await twins.join()

    async def is_quiet(self) -> None:
        """Wait until each follower waits for a hint, or lags."""

        def is_so() -> bool:
            running = sum(not task.done() for each in self.twins for task in each.tasks)
            lagging = sum(each.is_held for each in self.twins if not each.may_go_on.is_set())
            return sum(waiting_in(each, self.who, self.thread) for each in self.hubs) + lagging == running

        await until(is_so)

    async def do(self, what: str, *given_: Any) -> None:
        twins = self.twins[given_[0] % len(self.twins)] if given_ and isinstance(given_[0], int) else None
        match what, twins:
            case "create", _:
                self.made += await say(self.store, self.who, self.thread, given_[0])
            case "begin", _:
                self.made.append((await begin(self.store, self.who, self.thread, text_part(given_[0]))).id)
            case "touch", _:
                await threads.update(self.store, self.who, self.thread, ThreadPatch(metadata={"a": "b"}))
            case "join", _:
                await self.join()
            case "lag", Twins():
                twins.may_go_on.clear()
            case "go on", Twins():
                twins.may_go_on.set()
            case "leave", Twins():
                await twins.leave()
            case _ if self.made:
                with suppress(NotFound, InvalidRequest):  # it is deleted, or finished
                    await self._change(self.made[given_[0] % len(self.made)], what, *given_[1:])

    async def _change(self, message_id: MessageId, what: str, *given_: str) -> None:
        match what:
            case "append":
                await streaming.append_text(self.store, self.who, message_id, *given_)
            case "finish":
                await streaming.finish(self.store, self.who, message_id, WHOLE)
            case "update":
                await messages.update(self.store, self.who, self.thread, message_id, MessagePatch({"at": "all"}))
            case "delete":
                await messages.delete(self.store, self.who, self.thread, message_id)
