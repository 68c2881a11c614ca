"""Forking a thread: the copy has the same messages in the same order, and neither thread knows the other afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import forking, messages, streaming, threads
from gateway.domain import bounds, parse
from gateway.domain.ids import MessageId, new_message_id
from gateway.domain.message import IncompleteReason, NewMessage, Role, Status
from gateway.domain.page import WHOLE as ALL_FIELDS
from gateway.domain.page import Order, PageRead, PageRequest
from gateway.domain.principal import ALL_SCOPES, Principal, Reach, Scope
from gateway.domain.thread import ForkSource, NewFork
from gateway.domain.thread_list import SOURCE, Beside
from gateway.errors import Forbidden, InvalidRequest, NotFound
from tests.following import WHOLE, begin, grow, make_thread, say, text_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message

ALL = PageRequest(limit=100, order=Order.ASC)


async def held(store: Store, who: Principal, thread_id: ThreadId) -> list[Message]:
    [page] = await messages.list_pages(store, who, PageRead([thread_id], ALL, fields=ALL_FIELDS))
    return list(page.items)


def told(message: Message) -> dict[str, Any]:
    """Take all of a message but its ids."""
    return {name: value for name, value in message._asdict().items() if name not in ("id", "thread_id")}


async def test_a_fork_has_the_same_messages_under_new_ids(store: Store, who: Principal) -> None:
    source = await make_thread(store, who)
    await say(store, who, source, *"abcd")
    await messages.delete(store, who, source, (await held(store, who, source))[1].id)
    image = {"type": "image_file", "image_file": {"file_id": "file-a", "detail": "auto"}}
    await messages.create(store, who, source, NewMessage(Role.ASSISTANT, [image], run_id="run_a", assistant_id="asst"))

    copy = await forking.fork(store, who, source, NewFork())

    originals, copies = await held(store, who, source), await held(store, who, copy.id)
    assert list(map(told, copies)) == list(map(told, originals))
    assert {each.thread_id for each in copies} == {copy.id}
    assert not {each.id for each in copies} & {each.id for each in originals}
    assert copy == await threads.get(store, who, copy.id)
    assert copy.message_count == 4


async def sources(store: Store, who: Principal, thread_ids: Sequence[str]) -> dict[str, ForkSource | None]:
    found = await threads.list_beside(store, who, thread_ids, Beside(also=(SOURCE,)))
    return {thread.id: source for thread, source in zip(found.items, found.sources(), strict=True)}


async def test_a_fork_knows_its_source_while_that_exists(store: Store, who: Principal) -> None:
    source = await make_thread(store, who)
    [message] = await say(store, who, source, "a")
    whole = await forking.fork(store, who, source, NewFork())
    part = await forking.fork(store, who, source, NewFork(up_to=message))
    asked = [source, whole.id, part.id]

    found = await sources(store, who, asked)
    await threads.delete(store, who, source)

    assert found == {source: None, whole.id: ForkSource(source, None), part.id: ForkSource(source, message)}
    assert await sources(store, who, asked) == {whole.id: None, part.id: None}


async def test_a_source_of_another_end_user_is_not_shown(store: Store, who: Principal) -> None:
    source = await threads.create(store, who, parse.new_thread({"owner": "alice"}))
    copy = await forking.fork(store, who, source.id, NewFork(owner="bob"))

    bob = Principal(Reach("default", owner="bob"))

    assert await sources(store, bob, [copy.id]) == {copy.id: None}


async def test_a_fork_ends_with_the_message_that_is_named(store: Store, who: Principal) -> None:
    source = await make_thread(store, who)
    ids = await say(store, who, source, *"abc")

    copy = await forking.fork(store, who, source, NewFork(up_to=ids[1]))

    assert [each.text for each in await held(store, who, copy.id)] == ["a", "b"]


async def test_a_fork_continues_after_its_last_message(store: Store, who: Principal) -> None:
    source = await make_thread(store, who)
    ids = await say(store, who, source, "a", "b")
    copy = await forking.fork(store, who, source, NewFork(up_to=ids[0]))

    await say(store, who, copy.id, "another b")
    await messages.delete(store, who, source, ids[0])

    assert [each.text for each in await held(store, who, copy.id)] == ["a", "another b"]
    assert [each.text for each in await held(store, who, source)] == ["b"]


async def test_a_message_in_progress_is_incomplete_in_the_copy(store: Store, who: Principal) -> None:
    source = await make_thread(store, who)
    growing = await begin(store, who, source, text_part("so "))
    await grow(store, who, growing.id, "far", ", so good")

    copy = await forking.fork(store, who, source, NewFork())
    await streaming.finish(store, who, growing.id, WHOLE)

    [copied] = await held(store, who, copy.id)
    assert (copied.text, copied.status) == ("so far, so good", Status.INCOMPLETE)
    assert copied.incomplete_reason is IncompleteReason.RUN_CANCELLED
    assert copied.incomplete_at is not None
    assert [each.status for each in await held(store, who, source)] == [Status.COMPLETED]


async def test_metadata_of_a_fork_are_merged_into_those_of_its_source(store: Store, who: Principal) -> None:
    new = parse.new_thread({"metadata": {"a": "1", "b": "2"}, "tool_resources": {"code_interpreter": {"file_ids": []}}})
    source = await threads.create(store, who, new)

    copy = await forking.fork(store, who, source.id, NewFork(metadata={"a": None, "c": "3"}))

    assert copy.metadata == {"b": "2", "c": "3"}
    assert copy.tool_resources == source.tool_resources


async def test_a_fork_belongs_to_the_owner_of_its_source_or_to_who_is_named(store: Store, who: Principal) -> None:
    source = await threads.create(store, who, parse.new_thread({"owner": "alice"}))

    kept = await forking.fork(store, who, source.id, NewFork())
    given = await forking.fork(store, who, source.id, NewFork(owner="bob"))

    assert (kept.owner, given.owner) == ("alice", "bob")


async def test_an_end_user_forks_own_threads_only_and_for_nobody_else(store: Store) -> None:
    alice, bob = (Principal(Reach("default", owner=owner)) for owner in ("alice", "bob"))
    source = await make_thread(store, alice)

    copy = await forking.fork(store, alice, source, NewFork())

    assert copy.owner == "alice"
    with pytest.raises(NotFound, match=source):
        await forking.fork(store, bob, source, NewFork())
    with pytest.raises(InvalidRequest, match="owner"):
        await forking.fork(store, alice, source, NewFork(owner="bob"))


async def test_a_message_of_another_thread_is_unknown(store: Store, who: Principal) -> None:
    source, other = await make_thread(store, who), await make_thread(store, who)
    [elsewhere] = await say(store, who, other, "elsewhere")

    for up_to in (elsewhere, new_message_id()):
        with pytest.raises(NotFound, match=up_to):
            await forking.fork(store, who, source, NewFork(up_to=MessageId(up_to)))


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(Principal(Reach("default"), frozenset({Scope.READ})), id="a key that reads"),
        pytest.param(Principal(Reach("default"), frozenset({Scope.WRITE})), id="a key that writes"),
        pytest.param(Principal(Reach("default", thread_id="thread_a"), ALL_SCOPES), id="a thread token"),
    ],
)
async def test_a_fork_needs_to_read_and_to_write_many_threads(store: Store, who: Principal, refused: Principal) -> None:
    source = await make_thread(store, who)

    with pytest.raises(Forbidden):
        await forking.fork(store, refused, source, NewFork())


async def test_too_many_messages_are_refused_and_leave_nothing(
    store: Store, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "FORK_MESSAGES", bounds.FORK_MESSAGES._replace(number=2))
    source = await make_thread(store, who)
    ids = await say(store, who, source, *"abcd")

    with pytest.raises(InvalidRequest, match="at most 2 messages") as refused:
        await forking.fork(store, who, source, NewFork())
    copy = await forking.fork(store, who, source, NewFork(up_to=ids[1]))

    assert (refused.value.param, refused.value.code) == ("up_to", "thread_too_long")
    assert copy.message_count == 2
    assert await threads.count(store, who) == 2
