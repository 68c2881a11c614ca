"""Texts that are appended at once are each added exactly once, whatever else happens to their thread meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import messages, streaming, threads
from gateway.domain.change import MessageDelta
from gateway.domain.message import MessagePatch
from gateway.domain.thread import ThreadPatch
from gateway.errors import InvalidRequest, NotFound
from tests.effort import times
from tests.following import WHOLE, begin, make_thread, text_part

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal

FOLD = 4
TEXTS = st.sampled_from(["a", "bc", "\U0001f600", "\u00e9\U0001f600d", "\0", "\u2028"])
STEPS = st.lists(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["append", "append and read"]), st.integers(0, 1), TEXTS),
            st.tuples(st.sampled_from(["update", "finish", "delete"]), st.integers(0, 1), st.just("")),
            st.tuples(st.sampled_from(["touch", "forget counters"]), st.just(0), st.just("")),
        ),
        min_size=1,
        max_size=5,
    ),
    max_size=8,
)


@pytest.fixture(autouse=True)
def _small_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "FOLD", FOLD)


async def forget_counters(store: Store) -> None:
    """Leave deltas as an older version writes them."""
    forget = "UPDATE message_deltas SET next_start = NULL, characters = NULL"
    await store.write(lambda transaction: transaction._connection.execute(forget))  # noqa: SLF001


async def run(store: Store, who: Principal, thread_id: ThreadId, message_id: MessageId, step: tuple[Any, ...]) -> Any:
    what, _, text = step
    actions: dict[str, Any] = {
        "append": lambda: streaming.append_text(store, who, message_id, text, is_read=False),
        "append and read": lambda: streaming.append_text(store, who, message_id, text),
        "update": lambda: messages.update(store, who, None, message_id, MessagePatch({"a": "b"})),
        "finish": lambda: streaming.finish(store, who, message_id, WHOLE),
        "delete": lambda: messages.delete(store, who, thread_id, message_id),
        "touch": lambda: threads.update(store, who, thread_id, ThreadPatch({"a": "b"})),
        "forget counters": lambda: forget_counters(store),
    }
    running: Awaitable[Any] = actions[what]()
    with suppress(NotFound, InvalidRequest):  # it is deleted, or finished
        await running
        return text if what.startswith("append") else None
    return None


async def shown(store: Store, who: Principal, message_id: MessageId) -> Message | None:
    return (await messages.get_many(store, who, [message_id])).by_id().get(message_id)


@settings(max_examples=times(fast=8, slow=300))
@given(steps=STEPS)
async def test_appended_texts_are_added_once_each_whatever_happens_at_once(
    store: Store, who: Principal, steps: list[list[tuple[Any, ...]]]
) -> None:
    thread_id = await make_thread(store, who)
    begun = [await begin(store, who, thread_id, text_part(text)) for text in ("", "\U0001f600:")]
    expected = [each.text for each in begun]

    for batch in steps:
        ids = [begun[step[1]].id for step in batch]
        before = [await shown(store, who, each.id) for each in begun]
        done = await asyncio.gather(
            *(run(store, who, thread_id, each, step) for each, step in zip(ids, batch, strict=True))
        )
        for n, each in enumerate(begun):
            after = await shown(store, who, each.id)
            gained = Counter(text for text, step in zip(done, batch, strict=True) if text is not None and step[1] == n)
            if after is None:
                continue
            assert before[n] is not None
            assert after.text.startswith(expected[n])
            assert Counter(after.text[len(expected[n]) :]) == Counter("".join(gained.elements()))
            expected[n] = after.text
        await assert_deltas_are_contiguous(store, who, thread_id, {each.id for each in begun})


async def assert_deltas_are_contiguous(
    store: Store, who: Principal, thread_id: ThreadId, message_ids: set[MessageId]
) -> None:
    """Check that each delta begins where the one before it ends, in UTF-16 code units."""
    async with store.read() as reads:
        found = await reads.list_changes(who.reach, thread_id, 0, 100)
    ends: dict[str, int] = {}
    for _, each in found.items:
        if isinstance(each, MessageDelta):
            assert each.message_id in message_ids
            assert each.offset == ends.get(each.message_id, each.offset)
            ends[each.message_id] = each.offset + len(each.text.encode("utf-16-le")) // 2
    whole: dict[str, Message | None] = {message_id: await shown(store, who, message_id) for message_id in message_ids}
    for message_id, end in ends.items():
        message = whole[message_id]
        assert message is not None
        assert len(message.text.encode("utf-16-le")) // 2 == end


async def test_an_append_that_meets_another_change_of_its_thread_is_not_lost(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    begun = await begin(store, who, thread_id)
    pieces = [f"<{n}>" for n in range(FOLD * 3)]

    appends = [streaming.append_text(store, who, begun.id, each, is_read=False) for each in pieces]
    others = [threads.update(store, who, thread_id, ThreadPatch({f"k{n}": "v"})) for n in range(10)]
    await asyncio.gather(*appends, *others)

    message = await shown(store, who, begun.id)
    assert message is not None
    assert sorted(message.text.replace("><", ">,<").split(",")) == sorted(pieces)
    assert len((await threads.get(store, who, thread_id)).metadata) == 10
