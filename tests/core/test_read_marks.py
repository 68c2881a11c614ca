"""Read marks: what is unread is after the mark of a reader, which nobody else sees or moves."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import erasing, follow_list, forking, messages, read_marks, runs, threads
from gateway.domain import parse, parse_run
from gateway.domain.change import ThreadMoved, ThreadRead
from gateway.domain.ids import new_message_id, new_thread_id
from gateway.domain.message import NewMessage, Role
from gateway.domain.page import PageRead, PageRequest
from gateway.domain.principal import ALL_SCOPES, KEY_SCOPES, Principal, Reach, Scope
from gateway.domain.thread_list import LAST_READ, UNREAD, Beside, OrderBy, Selection, ThreadFilter
from gateway.errors import Forbidden, InvalidRequest, NotFound
from tests.effort import times
from tests.following import text_part
from tests.graphql.serving import statements_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.events.hub import Hub

KEY = Principal(Reach("shop"), KEY_SCOPES)
ALICE = Principal(Reach("shop", owner="alice"), ALL_SCOPES, "user:alice", identity="user:alice")
READER = "user:alice"
MOST = 3


async def thread_of(store: Store, owner: str | None = "alice") -> ThreadId:
    return (await threads.create(store, KEY, parse.new_thread({"owner": owner}))).id


async def post(store: Store, who: Principal, thread_id: ThreadId, role: Role) -> MessageId:
    return (await messages.create(store, who, thread_id, NewMessage(role, [text_part("hi")]))).id


def guest_of(thread_id: ThreadId) -> Principal:
    """Return who has a token for a thread."""
    return Principal(Reach("shop", thread_id=thread_id), ALL_SCOPES, identity=f"token:open/{thread_id}")


async def no_settings() -> dict[str, Any]:
    return {}


async def answers(store: Store, thread_id: ThreadId, count: int) -> list[MessageId]:
    return [await post(store, KEY, thread_id, Role.ASSISTANT) for _ in range(count)]


class Unread(NamedTuple):
    number: int
    read_up_to: str | None


def beside(reader: str) -> Beside:
    return Beside(reader=reader, most=MOST, also=(LAST_READ,))


async def unread(store: Store, who: Principal, thread_id: ThreadId, reader: str = READER) -> Unread:
    found = await threads.list_beside(store, who, [thread_id], beside(reader))
    return Unread(found.column(UNREAD)[0], found.column(LAST_READ)[0])


async def test_of_marks_that_are_moved_at_once_the_furthest_stays(store: Store) -> None:
    thread_id = await thread_of(store)
    said = await answers(store, thread_id, 8)

    await asyncio.gather(*(read_marks.mark_read(store, ALICE, thread_id, each, None) for each in said[5:0:-1]))
    assert await unread(store, ALICE, thread_id) == Unread(2, said[5])

    await asyncio.gather(*(read_marks.mark_unread(store, ALICE, thread_id, each, None) for each in said[7:4:-1]))
    assert await unread(store, ALICE, thread_id) == Unread(3, said[4])


async def test_messages_of_assistants_are_unread_until_they_are_marked(store: Store) -> None:
    thread_id = await thread_of(store)
    ids = await answers(store, thread_id, 3)
    before = await unread(store, ALICE, thread_id)

    await read_marks.mark_read(store, ALICE, thread_id, ids[1], None)
    marked = await unread(store, ALICE, thread_id)
    await read_marks.mark_read(store, ALICE, thread_id, None, None)

    assert (before, marked) == (Unread(3, None), Unread(1, ids[1]))
    assert await unread(store, ALICE, thread_id) == Unread(0, ids[2])


async def test_a_count_ends_one_above_what_is_asked_for(store: Store) -> None:
    thread_id = await thread_of(store)
    await answers(store, thread_id, MOST + 2)

    assert (await unread(store, ALICE, thread_id)).number == MOST + 1


async def test_what_users_write_is_not_unread(store: Store) -> None:
    thread_id = await thread_of(store)
    await post(store, KEY, thread_id, Role.USER)

    assert (await unread(store, ALICE, thread_id)).number == 0


async def test_what_another_end_user_or_token_writes_is_unread(store: Store) -> None:
    thread_id = await thread_of(store)
    guest = guest_of(thread_id)
    await post(store, guest, thread_id, Role.USER)
    await post(store, ALICE, thread_id, Role.USER)
    await post(store, guest, thread_id, Role.USER)

    found = [await unread(store, KEY, thread_id, reader) for reader in (READER, guest.identity, "reader:support")]

    assert [each.number for each in found] == [1, 0, 3]


@pytest.mark.parametrize("by_run", [False, True], ids=["a new thread", "a run"])
async def test_the_first_messages_of_a_thread_are_unread_to_all_but_their_author(store: Store, *, by_run: bool) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}]}
    if by_run:
        new = parse_run.new_run({"assistant_id": "asst_a", "thread": body}, with_thread=True)
        thread, _ = await runs.create_with_thread(store, ALICE, new, no_settings)
    else:
        thread = await threads.create(store, ALICE, parse.new_thread(body))

    found = [await unread(store, KEY, thread.id, reader) for reader in (READER, "reader:support")]

    assert [each.number for each in found] == [0, 1]


async def test_a_thread_is_read_by_who_creates_it_up_to_the_last_of_its_messages(store: Store) -> None:
    body = {"messages": [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "hi"}]}
    thread = await threads.create(store, ALICE, parse.new_thread(body))
    [page] = await messages.list_pages(store, ALICE, PageRead([thread.id], PageRequest(limit=1)))

    assert await unread(store, ALICE, thread.id) == (0, page.items[0].id)


async def test_a_copy_of_a_thread_has_no_authors(store: Store) -> None:
    thread_id = await thread_of(store)
    await post(store, ALICE, thread_id, Role.USER)

    copy = await forking.fork(store, KEY, thread_id, parse.new_fork({}))

    assert (await unread(store, KEY, copy.id, "reader:support")).number == 0


async def test_a_mark_that_moves_nothing_writes_nothing(store: Store) -> None:
    thread_id = await thread_of(store)
    ids = await answers(store, thread_id, 2)

    async def written_by(*marked: Any) -> list[str]:
        with statements_of(store) as sent:
            await asyncio.gather(*marked)
        return [each.split()[0] for each in sent if re.match("INSERT|UPDATE|.*FOR UPDATE", each, re.DOTALL)]

    def mark(up_to: MessageId | None = None) -> Any:
        return read_marks.mark_read(store, ALICE, thread_id, up_to, None)

    assert await written_by(mark(ids[0]))
    await asyncio.gather(mark(), mark())
    assert await written_by(mark(), mark(ids[0])) == []
    assert await written_by(read_marks.mark_unread(store, KEY, thread_id, ids[0], "nobody")) == []


async def test_who_posts_has_read_the_thread(store: Store) -> None:
    thread_id = await thread_of(store)
    await answers(store, thread_id, 2)

    posted = await post(store, ALICE, thread_id, Role.USER)

    assert await unread(store, ALICE, thread_id) == Unread(0, posted)
    assert (await unread(store, KEY, thread_id, "reader:support")).number == 3


async def test_a_later_mark_stays_where_an_earlier_message_is_marked_as_read(store: Store) -> None:
    thread_id = await thread_of(store)
    ids = await answers(store, thread_id, 3)
    await read_marks.mark_read(store, ALICE, thread_id, ids[2], None)

    await read_marks.mark_read(store, ALICE, thread_id, ids[0], None)

    assert await unread(store, ALICE, thread_id) == Unread(0, ids[2])


async def test_a_message_marked_as_unread_is_unread_with_those_after_it(store: Store) -> None:
    thread_id = await thread_of(store)
    ids = await answers(store, thread_id, 3)
    await read_marks.mark_read(store, ALICE, thread_id, None, None)

    await read_marks.mark_unread(store, ALICE, thread_id, ids[1], None)
    await read_marks.mark_unread(store, ALICE, thread_id, ids[2], None)  # an earlier mark stays

    assert await unread(store, ALICE, thread_id) == Unread(2, ids[0])


async def test_changes_and_deletions_make_nothing_unread(store: Store) -> None:
    thread_id = await thread_of(store)
    first, second = await answers(store, thread_id, 2)
    await read_marks.mark_read(store, ALICE, thread_id, None, None)

    await messages.delete(store, KEY, thread_id, second)
    await messages.update(store, KEY, thread_id, first, parse.message_patch({"metadata": {"a": "1"}}))

    assert await unread(store, ALICE, thread_id) == Unread(0, first)


async def test_a_deleted_message_is_not_counted(store: Store) -> None:
    thread_id = await thread_of(store)
    ids = await answers(store, thread_id, 3)

    await messages.delete(store, KEY, thread_id, ids[1])

    assert (await unread(store, ALICE, thread_id)).number == 2


async def test_readers_that_a_key_names_have_marks_of_their_own(store: Store) -> None:
    thread_id = await thread_of(store)
    await answers(store, thread_id, 1)

    await read_marks.mark_read(store, KEY, thread_id, None, "alice")

    assert (await unread(store, KEY, thread_id, "reader:alice")).number == 0
    assert (await unread(store, KEY, thread_id, "reader:bob")).number == 1
    assert (await unread(store, ALICE, thread_id)).number == 1


@pytest.mark.parametrize(("who", "reader"), [(KEY, None), (ALICE, "bob")])
async def test_a_key_names_a_reader_and_an_end_user_none(store: Store, who: Principal, reader: str | None) -> None:
    thread_id = await thread_of(store)

    with pytest.raises(InvalidRequest) as refused:
        await read_marks.mark_read(store, who, thread_id, None, reader)

    assert refused.value.param == "reader"


@pytest.mark.parametrize("reader", ["alice", "bob"])
async def test_an_end_user_who_names_a_reader_follows_no_list(store: Store, hub: Hub, reader: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await follow_list.start(store, hub, ALICE, None, ThreadFilter(reader=reader))

    assert refused.value.param == "reader"


async def test_to_read_is_enough_to_mark(store: Store) -> None:
    thread_id = await thread_of(store)
    reading, writing = (Principal(KEY.reach, frozenset({scope})) for scope in (Scope.READ, Scope.WRITE))

    await read_marks.mark_read(store, reading, thread_id, None, "support")

    with pytest.raises(Forbidden):
        await read_marks.mark_read(store, writing, thread_id, None, "support")


async def test_threads_and_messages_of_others_are_unknown(store: Store) -> None:
    of_bob = await thread_of(store, "bob")
    own = await thread_of(store)
    [elsewhere] = await answers(store, of_bob, 1)

    for thread_id, up_to in ((of_bob, None), (new_thread_id(), None), (own, elsewhere), (own, new_message_id())):
        with pytest.raises(NotFound):
            await read_marks.mark_read(store, ALICE, thread_id, up_to, None)
    assert not (await threads.list_beside(store, ALICE, [of_bob], beside(READER))).items


async def test_an_erased_reader_leaves_no_mark(store: Store) -> None:
    shared = await thread_of(store, None)
    await answers(store, shared, 1)
    for name in ("alice", "bob"):
        await read_marks.mark_read(store, KEY, shared, None, name)

    await erasing.erase(store, KEY, "alice")

    assert (await unread(store, KEY, shared, "reader:alice")).number == 1
    assert (await unread(store, KEY, shared, "reader:bob")).number == 0


async def test_marks_moved_at_once_end_at_the_last(store: Store) -> None:
    thread_id = await thread_of(store)
    ids = await answers(store, thread_id, 8)

    await asyncio.gather(*(read_marks.mark_read(store, ALICE, thread_id, each, None) for each in reversed(ids)))

    assert await unread(store, ALICE, thread_id) == Unread(0, ids[-1])


STEPS: dict[str, Callable[[Any], Any]] = {
    "answer": lambda world: world.add(Role.ASSISTANT),
    "ask": lambda world: world.add(Role.USER),
    "join in": lambda world: world.add(Role.USER, guest_of(world.thread_id)),
    "read": lambda world: world.read(),
    "unread": lambda world: world.unread(),
    "delete": lambda world: world.delete(),
}


class World:
    """A thread, and a model of it: its messages as pairs of a position and whether they are for Alice, and her mark."""

    def __init__(self, store: Store, thread_id: ThreadId) -> None:
        self.store, self.thread_id = store, thread_id
        self.messages: dict[MessageId, tuple[int, bool]] = {}
        self.next, self.mark, self.has_mark, self.pick = 1, 0, False, 0

    def _picked(self) -> MessageId | None:
        ids = list(self.messages)
        return ids[self.pick % len(ids)] if ids else None

    async def add(self, role: Role, who: Principal = ALICE) -> None:
        made = await post(self.store, who, self.thread_id, role)
        self.messages[made] = self.next, role is Role.ASSISTANT or who is not ALICE
        if role is Role.USER and who is ALICE:
            self.mark, self.has_mark = self.next, True
        self.next += 1

    async def read(self) -> None:
        if (picked := self._picked()) is not None:
            await read_marks.mark_read(self.store, ALICE, self.thread_id, picked, None)
            self.mark, self.has_mark = max(self.mark, self.messages[picked][0]), True

    async def unread(self) -> None:
        if (picked := self._picked()) is not None:
            await read_marks.mark_unread(self.store, ALICE, self.thread_id, picked, None)
            self.mark = min(self.mark, self.messages[picked][0] - 1)

    async def delete(self) -> None:
        if (picked := self._picked()) is not None:
            await messages.delete(self.store, ALICE, self.thread_id, picked)
            del self.messages[picked]
            self.next += 1  # a deletion takes a position

    def expected(self) -> Unread:
        later = [each for each in self.messages.values() if each[0] > self.mark and each[1]]
        read = [each for each, (position, _) in self.messages.items() if position <= self.mark]
        return Unread(min(len(later), MOST + 1), read[-1] if read else None)


@settings(max_examples=times(fast=6, slow=200))
@given(steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 9)), max_size=14))
async def test_any_order_of_steps_equals_a_model(store: Store, steps: list[tuple[str, int]]) -> None:
    world = World(store, await thread_of(store))

    for name, pick in steps:
        world.pick = pick
        await STEPS[name](world)

        assert await unread(store, ALICE, world.thread_id) == world.expected()
        listed = await threads.list_page(store, ALICE, PageRequest(), Selection(only=ThreadFilter(unread=True)))
        assert (world.thread_id in {each.id for each in listed.items}) == (world.expected().number > 0)


async def test_a_list_has_the_threads_that_a_reader_has_not_read(store: Store) -> None:
    read, unread_, asked = [await thread_of(store) for _ in range(3)]
    for thread_id in (read, unread_):
        await answers(store, thread_id, 2)
    await post(store, KEY, asked, Role.USER)
    await read_marks.mark_read(store, ALICE, read, None, None)

    async def listed(who: Principal, by: OrderBy, **only: Any) -> set[str]:
        selected = Selection(by, ThreadFilter(**only))
        found = await threads.list_page(store, who, PageRequest(limit=10), selected)
        assert await threads.count(store, who, selected) == len(found.items)
        return {each.id for each in found.items}

    for by in OrderBy:
        assert await listed(ALICE, by, unread=True) == {unread_}
        assert await listed(ALICE, by, unread=False) == {read, asked}
        assert await listed(KEY, by, unread=True, reader="support") == {read, unread_}
    with pytest.raises(InvalidRequest, match="reader"):
        await listed(KEY, OrderBy.CREATED, unread=True)


async def test_who_follows_the_list_hears_of_own_marks_alone(store: Store, hub: Hub) -> None:
    thread_id = await thread_of(store)
    await answers(store, thread_id, 1)
    place = await follow_list.start(store, hub, ALICE, None, None)
    async with aclosing(follow_list.changes(store, hub, ALICE, place)) as events:
        await read_marks.mark_read(store, KEY, thread_id, None, "alice")
        await read_marks.mark_read(store, ALICE, thread_id, None, None)
        await post(store, KEY, thread_id, Role.ASSISTANT)
        await read_marks.mark_read(store, KEY, thread_id, None, "bob")

        first = await anext(events)
        rest = [first] if isinstance(first.item, ThreadMoved) else [first, await anext(events)]

    # One event covers all changes of a thread since the last one, so the mark may come with the message.
    kinds = [type(each.item) for each in rest]
    assert kinds[-1] is ThreadMoved
    assert set(kinds[:-1]) <= {ThreadRead}


async def test_a_mark_alone_is_an_event_of_its_reader(store: Store, hub: Hub) -> None:
    thread_id = await thread_of(store)
    await answers(store, thread_id, 1)
    place = await follow_list.start(store, hub, KEY, None, None)
    only = ThreadFilter(reader="support")
    async with aclosing(follow_list.changes(store, hub, KEY, place, only)) as events:
        await read_marks.mark_read(store, KEY, thread_id, None, "support")

        assert (await anext(events)).item == ThreadRead(thread_id)
