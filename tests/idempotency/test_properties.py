"""Any order of creations with and without keys, deletions and retries equals a model, positions and counts included."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import messages, threads
from gateway.domain.idempotency import Attempt
from gateway.domain.ids import new_thread_id
from gateway.domain.page import Order, PageRequest
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import NewThread
from gateway.errors import IdempotencyKeyReused, NotFound
from tests.effort import times
from tests.make import list_page, make_thread, new_message

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import ThreadId

KEYS = st.sampled_from([None, "a", "b", "c"])
STEP = st.one_of(
    st.tuples(st.just("create"), st.integers(0, 1), KEYS, st.sampled_from(["hi", "ho"])),
    st.tuples(st.just("delete"), st.integers(0, 1), KEYS, st.just("")),
)
PAGE = PageRequest(100, Order.ASC)


@dataclass
class Model:
    """What two threads hold, in order, and what each key made: place and text, or place alone where it was deleted."""

    texts: list[list[str]] = field(default_factory=lambda: [[], []])
    made: dict[str, tuple[int, str, bool]] = field(default_factory=dict)
    positions: list[int] = field(default_factory=lambda: [0, 0])

    def create(self, thread: int, key: str | None, text: str) -> str:
        """Create a message; its text says by which key, so that it can be found to be deleted."""
        if key is not None and key in self.made:
            in_thread, said, is_there = self.made[key]
            if (in_thread, said) != (thread, text):
                return "reused"
            return "replay" if is_there else "gone"
        if key is not None:
            self.made[key] = (thread, text, True)
        self.texts[thread].append(label(key, text))
        self.positions[thread] += 1
        return "made"

    def delete(self, key: str | None) -> None:
        if key is None or key not in self.made or not self.made[key][2]:
            return
        thread, text, _ = self.made[key]
        self.made[key] = (thread, text, False)
        self.texts[thread].remove(label(key, text))
        self.positions[thread] += 1


def label(key: str | None, text: str) -> str:
    return f"{key} {text}"


async def create(store: Store, who: Principal, thread_id: ThreadId, key: str | None, text: str) -> tuple[str, Any]:
    attempt = None if key is None else Attempt(key)
    try:
        made = await messages.create(store, who, thread_id, new_message(label(key, text)), attempt)
    except IdempotencyKeyReused:
        return "reused", None
    except NotFound:
        return "gone", None
    return ("replay" if attempt is not None and attempt.is_replay else "made"), made


async def held(store: Store, who: Principal, thread_id: ThreadId) -> list[str]:
    found = [each.text for each in (await list_page(store, who, thread_id, PAGE)).items]
    assert (await threads.get(store, who, thread_id)).message_count == len(found)
    return found


@settings(max_examples=times(fast=15, slow=500))
@given(steps=st.lists(STEP, max_size=14))
async def test_any_order_of_steps_equals_the_model(store: Store, steps: list[tuple[str, int, str | None, str]]) -> None:
    who, model = Principal(Reach("default"), identity=f"key:{new_thread_id()}"), Model()
    both = [await make_thread(store, who) for _ in range(2)]
    ids: dict[str | None, Any] = {}

    for what, thread, key, text in steps:
        if what == "create":
            outcome, made = await create(store, who, both[thread], key, text)
            assert outcome == model.create(thread, key, text)
            if outcome == "replay":
                assert made.id == ids[key]
            elif made is not None:
                ids[key] = made.id
        elif what == "delete":
            if key in model.made and model.made[key][2]:
                await messages.delete(store, who, both[model.made[key][0]], ids[key])
            model.delete(key)

    positions = await store.last_positions([(who.reach.project_id, each) for each in both])
    assert [await held(store, who, each) for each in both] == model.texts
    assert [positions[who.reach.project_id, each] for each in both] == model.positions


@settings(max_examples=times(fast=10, slow=300))
@given(
    rounds=st.lists(
        st.lists(st.tuples(KEYS, st.booleans()), min_size=1, max_size=8),
        min_size=1,
        max_size=4,
    )
)
async def test_steps_at_the_same_time_create_once_for_each_key(
    store: Store, rounds: list[list[tuple[str | None, bool]]]
) -> None:
    who = Principal(Reach("default"), identity=f"key:{new_thread_id()}")
    thread_id = await make_thread(store, who)
    made: dict[str | None, set[str]] = {}
    deleted: set[str] = set()
    plain = 0

    async def step(key: str | None, *, is_deletion: bool) -> None:
        if is_deletion:
            for message_id in sorted(made.get(key, set()) - deleted) if key is not None else ():
                with suppress(NotFound):
                    await messages.delete(store, who, thread_id, message_id)  # type: ignore[arg-type]
                    deleted.add(message_id)
            return
        outcome, found = await create(store, who, thread_id, key, "hi")
        assert outcome in ("made", "replay", "gone")
        if found is not None:
            made.setdefault(key, set()).add(found.id)

    for each in rounds:
        plain += sum(key is None and not is_deletion for key, is_deletion in each)
        await asyncio.gather(*[step(key, is_deletion=is_deletion) for key, is_deletion in each])

    keyed = {key: ids for key, ids in made.items() if key is not None}
    assert {key: len(ids) for key, ids in keyed.items()} == dict.fromkeys(keyed, 1)
    wanted = len(keyed) + plain - len(deleted)
    assert len(await held(store, who, thread_id)) == wanted
    [position] = (await store.last_positions([(who.reach.project_id, thread_id)])).values()
    assert position == len(keyed) + plain + len(deleted)


@settings(max_examples=times(fast=10, slow=300))
@given(steps=st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b"]), st.integers(0, 2)), max_size=12))
async def test_threads_are_created_once_for_each_key(store: Store, steps: list[tuple[bool, str, int]]) -> None:
    who = Principal(Reach(f"p{new_thread_id()}"))
    made: dict[str, tuple[str, int]] = {}
    deleted: set[str] = set()

    for is_deletion, key, count in steps:
        if is_deletion:
            if key in made and made[key][0] not in deleted:
                await threads.delete(store, who, made[key][0])  # type: ignore[arg-type]
                deleted.add(made[key][0])
            continue
        new = NewThread({}, {}, tuple(new_message(f"{n}") for n in range(count)))
        if key in made and made[key][1] != count:
            with pytest.raises(IdempotencyKeyReused):
                await threads.create(store, who, new, Attempt(key))
        elif key in made and made[key][0] in deleted:
            with pytest.raises(NotFound):
                await threads.create(store, who, new, Attempt(key))
        else:
            found = await threads.create(store, who, new, Attempt(key))
            assert found.message_count == count
            assert made.setdefault(key, (found.id, count))[0] == found.id

    listed = (await threads.list_page(store, who, PAGE)).items
    assert {each.id for each in listed} == {thread_id for thread_id, _ in made.values()} - deleted
