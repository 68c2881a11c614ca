"""Whatever is written, by whom and in which order it is committed: followers end with what a fresh list has."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import follow_list, messages, streaming, threads
from gateway.domain.change import ThreadDeleted, ThreadRead
from gateway.domain.page import PageRequest
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import ThreadPatch
from gateway.errors import InvalidRequest, NotFound, Unavailable
from gateway.events.hub import Hub
from gateway.events.sweep import sweep
from gateway.store.engines.base import Timeouts
from gateway.store.store import open_store
from tests.effort import times
from tests.following import PATIENCE_S, WHOLE, begin, make_thread, say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId

ALICE = "alice"
FOLLOWERS = (None, ALICE)  # the owners whose threads they follow
WHICH = st.integers(0, 5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("thread"), st.sampled_from([None, ALICE])),
        st.tuples(st.sampled_from(["say", "begin", "touch", "remove"]), WHICH),
        st.tuples(st.sampled_from(["finish", "unsay"]), WHICH),
        st.tuples(st.sampled_from(["open", "write", "commit", "roll back"]), st.integers(0, 2), WHICH),
        st.tuples(st.just("cut"), st.sampled_from(FOLLOWERS)),
        st.tuples(st.just("breathe")),
    ),
    min_size=10,
    max_size=40,
)
# What the previous version runs for a message.
_TAKE = """UPDATE threads SET last_position = last_position + 1, message_count = message_count + 1
WHERE id = {0} RETURNING last_position"""
_ADD = """INSERT INTO messages
(project_id, thread_id, position, id, created_at, role, status, content, attachments, metadata)
VALUES ({0}, {1}, {2}, {3}, 1, 'user', 'completed', '[]', '[]', '{{}}')"""


@dataclass
class Writers:
    """Connections of others, each with a transaction or none; they send no hints."""

    url: str
    stack: AsyncExitStack
    open: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    count: int = 0

    async def act(self, what: str, number: int, project: str, thread_id: str) -> None:
        if self.url.startswith("sqlite"):
            if what == "write":
                self._write_to_file(project, thread_id)
        elif what in ("open", "write"):
            if number not in self.open:
                connection = await asyncpg.connect(self.url)
                await connection.execute("SET lock_timeout = '100ms'")
                self.open[number] = connection, connection.transaction()
                await self.open[number][1].start()
                await connection.execute("SELECT pg_current_xact_id()")
            if what == "write":
                await self._write(number, project, thread_id)
        elif number in self.open:
            await self.end(number, commits=what == "commit")

    async def _write(self, number: int, project: str, thread_id: str) -> None:
        connection, _ = self.open[number]
        self.count += 1
        with suppress(asyncpg.LockNotAvailableError):
            async with connection.transaction():
                position = await connection.fetchval(_TAKE.format("$1"), thread_id)
                if position is not None:
                    add = _ADD.format("$1", "$2", "$3", "$4")
                    await connection.execute(add, project, thread_id, position, f"msg_{project}_{self.count}")

    def _write_to_file(self, project: str, thread_id: str) -> None:
        self.count += 1
        connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=PATIENCE_S)
        found = connection.execute(_TAKE.format("?"), [thread_id]).fetchall()
        for (position,) in found:
            values = [project, thread_id, position, f"msg_{project}_{self.count}"]
            connection.execute(_ADD.format("?", "?", "?", "?"), values)
        connection.commit()
        connection.close()

    async def end(self, number: int, *, commits: bool) -> None:
        connection, transaction = self.open.pop(number)
        await (transaction.commit() if commits else transaction.rollback())
        await connection.close()

    async def end_all(self) -> None:
        for number in list(self.open):
            await self.end(number, commits=True)


@dataclass
class Follower:
    """A client that keeps the list of threads, and resumes after its last cursor."""

    store: Store
    hub: Hub
    who: Principal
    held: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    cursor: str | None = None
    task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        place = await follow_list.start(self.store, self.hub, self.who, self.cursor, None)
        self.task = asyncio.create_task(self._follow(place))

    async def cut(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    async def _follow(self, place: follow_list.ListPlace) -> None:
        async with aclosing(follow_list.changes(self.store, self.hub, self.who, place)) as found:
            async for cursor, event, _ in found:
                self.cursor = cursor
                if isinstance(event, ThreadDeleted | ThreadRead):
                    self.held.pop(event.thread_id, None)
                else:
                    self.held[event.thread.id] = (event.thread.message_count, dict(event.thread.metadata))

    async def comes_to(self, expected: dict[str, tuple[int, dict[str, str]]]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.held != expected:  # noqa: ASYNC110  (events that change nothing come too)
                await asyncio.sleep(0.005)


async def fresh(store: Store, who: Principal) -> dict[str, tuple[int, dict[str, str]]]:
    found = await threads.list_page(store, who, PageRequest(limit=100))
    return {each.id: (each.message_count, dict(each.metadata)) for each in found.items}


@asynccontextmanager
async def sweeping(hub: Hub, store: Store) -> AsyncIterator[None]:
    task = asyncio.create_task(sweep(hub, store.last_positions, changed_owners=store.changed_owners, interval_s=0.01))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass
class Run:
    store: Store
    project: str
    made: list[ThreadId] = field(default_factory=list)
    said: list[tuple[ThreadId, MessageId]] = field(default_factory=list)

    async def act(self, what: str, which: Any) -> None:
        who = Principal(Reach(self.project))
        if what == "thread":
            self.made.append(await make_thread(self.store, Principal(Reach(self.project, owner=which))))
            return
        if not self.made:
            return
        thread = self.made[which % len(self.made)]
        # It is deleted or finished, or another's open transaction holds the thread.
        with suppress(NotFound, InvalidRequest, Unavailable):
            await self._change(who, what, thread, which)

    async def _change(self, who: Principal, what: str, thread: ThreadId, which: int) -> None:
        match what:
            case "say":
                self.said += [(thread, each) for each in await say(self.store, who, thread, "hello")]
            case "begin":
                self.said.append((thread, (await begin(self.store, who, thread)).id))
            case "touch":
                await threads.update(self.store, who, thread, ThreadPatch(metadata={"n": str(len(self.said))}))
            case "remove":
                await threads.delete(self.store, who, thread)
            case _ if self.said:
                thread, message = self.said[which % len(self.said)]
                if what == "finish":
                    await streaming.finish(self.store, who, message, WHOLE)
                elif what == "unsay":
                    await messages.delete(self.store, who, thread, message)


_NUMBERS = iter(range(10**9))
_QUICK = Timeouts(lock_s=0.2)


@settings(max_examples=times(fast=8, slow=150))
@given(steps=STEPS)
async def test_followers_end_with_what_a_fresh_list_has(database_url: str, steps: list[tuple[Any, ...]]) -> None:
    project = f"project_{next(_NUMBERS)}"
    hub = Hub()
    store = open_store(database_url, hub.wake, _QUICK)
    run = Run(store, project)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        writers = Writers(database_url, stack)
        stack.push_async_callback(writers.end_all)
        await stack.enter_async_context(sweeping(hub, store))
        followers = {each: Follower(store, hub, Principal(Reach(project, owner=each))) for each in FOLLOWERS}
        for each in followers.values():
            await each.start()
            stack.push_async_callback(each.cut)
        for what, *given_ in steps:
            match what, given_:
                case "breathe", _:
                    await asyncio.sleep(0.01)
                case "cut", [which]:
                    follower = followers[which]
                    if follower.cursor is not None:
                        await follower.cut()
                        await follower.start()
                case _, [which]:
                    await run.act(what, which)
                case _, [number, which]:
                    if run.made:
                        await writers.act(what, number, project, run.made[which % len(run.made)])
        await writers.end_all()
        for follower in followers.values():
            await follower.comes_to(await fresh(store, follower.who))


@pytest.mark.parametrize("is_committed", [True, False])
async def test_an_open_transaction_holds_up_none_but_its_own_changes(
    postgres_url: str, hub: Hub, who: Principal, *, is_committed: bool
) -> None:
    store = open_store(postgres_url, hub.wake)
    slow, *others = [await make_thread(store, who) for _ in range(4)]
    place = await follow_list.start(store, hub, who, None, None)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        writers = Writers(postgres_url, stack)
        await writers.act("write", 0, "default", slow)
        found = await stack.enter_async_context(aclosing(follow_list.changes(store, hub, who, place)))
        cursors = []
        for each in others:
            await say(store, who, each, "hello")
            event = await asyncio.wait_for(anext(found), PATIENCE_S)
            assert not isinstance(event.item, ThreadDeleted | ThreadRead)
            assert event.item.thread.id == each
            cursors.append(event.cursor)

        await writers.end(0, commits=is_committed)
        last = slow if is_committed else others[0]
        if not is_committed:
            await say(store, who, others[0], "once more")
        hub.wake_all()
        for cursor in (None, *cursors):
            again = (
                found
                if cursor is None
                else follow_list.changes(store, hub, who, await follow_list.start(store, hub, who, cursor, None))
            )
            ids = []
            async with asyncio.timeout(PATIENCE_S):
                async for event in again:
                    assert not isinstance(event.item, ThreadDeleted | ThreadRead)
                    ids.append(event.item.thread.id)
                    if event.item.thread.id == last:
                        break
            await again.aclose()
            assert (slow in ids) == is_committed
