"""Lists of threads by activity, and filtered ones, against a model in Python; also while threads move."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core import messages, threads
from gateway.domain.page import Order, PageRequest
from gateway.domain.principal import Reach
from gateway.domain.thread import NewThread, Thread, ThreadPatch
from gateway.domain.thread_list import MetadataMatch, OrderBy, Selection, ThreadFilter
from gateway.errors import InvalidRequest
from gateway.store import reads
from tests.effort import times
from tests.graphql.serving import statements_of
from tests.make import new_message

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.principal import Principal

ACTIVE = OrderBy.ACTIVITY
KEYS, VALUES, OWNERS = ("a", "b", "\0"), ("1", "2", "é\0"), (None, "anna", "ben")
NOW = 1_700_000_000

MATCHES = st.lists(
    st.builds(
        MetadataMatch,
        st.sampled_from(KEYS),
        st.none() | st.lists(st.sampled_from(VALUES), min_size=1, max_size=2).map(tuple),
        st.booleans(),
    ),
    max_size=3,
).map(tuple)
TIMES = st.none() | st.integers(0, 12).map(lambda second: 1_000 * (NOW + second))
FILTERS = st.builds(
    ThreadFilter, MATCHES, st.sampled_from(OWNERS), st.none() | st.booleans(), TIMES, TIMES, TIMES, TIMES
)
SELECTIONS = st.builds(Selection, st.sampled_from(OrderBy), st.none() | FILTERS)


async def fill(store: Store, who: Principal, count: int) -> list[Thread]:
    """Add threads with all pairs of metadata, several of each second and of each activity."""
    made = []
    for n, (one, other, owner) in zip(range(count), product((None, *VALUES), (None, *VALUES), OWNERS), strict=False):
        metadata = {key: value for key, value in zip(KEYS, (one, other, one), strict=True) if value is not None}
        thread = await threads.create(store, who, NewThread(metadata, {}, (), owner))
        own = replace_times(thread, NOW + n // 4, 1_000 * (NOW + 12 - n // 5))

        async def move(transaction: Any, own: Thread = own) -> None:
            await transaction._rows(_set_times, who.reach, own.id, own.created_at, own.activity_at)  # noqa: SLF001

        await store.write(move)
        made.append(own)
    return made


def replace_times(thread: Thread, created_at: int, activity_at: int) -> Thread:
    return Thread(*thread._replace(created_at=created_at, activity_at=activity_at))


def _set_times(reach: Reach, thread_id: str, created_at: int, activity_at: int) -> Any:
    from sqlalchemy import update  # noqa: PLC0415

    from gateway.store.schema import tables  # noqa: PLC0415

    own = tables.threads.c
    found = update(tables.threads).where(own.project_id == reach.project_id, own.id == thread_id)
    return found.values(created_at=created_at, activity_at=activity_at)


def is_selected(only: ThreadFilter | None, thread: Thread) -> bool:
    if only is None:
        return True

    def fits(match: MetadataMatch) -> bool:
        has_it = match.key in thread.metadata and (match.values is None or thread.metadata[match.key] in match.values)
        return has_it != match.is_missing

    created, active = 1_000 * thread.created_at, thread.activity_at or 0
    return (
        all(map(fits, only.metadata))
        and only.owner in (None, thread.owner)
        and only.has_owner in (None, thread.owner is not None)
        and (only.created_after is None or created > only.created_after)
        and (only.created_before is None or created < only.created_before)
        and (only.active_after is None or active > only.active_after)
        and (only.active_before is None or active < only.active_before)
    )


@pytest.fixture
async def made(store: Store, who: Principal) -> list[Thread]:
    return await fill(store, who, 48)


async def test_all_pages_of_any_selection_are_those_of_the_model(
    store: Store, who: Principal, made: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio  # noqa: PLC0415

    loop = asyncio.get_running_loop()

    @settings(
        max_examples=times(fast=60, slow=1_000),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )
    @given(SELECTIONS, st.sampled_from(Order), st.integers(1, 7), st.booleans(), st.sampled_from([-1, 8, 50]))
    def check(selected: Selection, order: Order, limit: int, from_end: bool, few: int) -> None:  # noqa: FBT001
        monkeypatch.setattr(reads, "MOST_FEW", few)
        walk = _walk(store, who, selected, PageRequest(limit, order, from_end=from_end))
        found = asyncio.run_coroutine_threadsafe(walk, loop).result()
        expected = [each for each in made if is_selected(selected.only, each)]
        if selected.by is ACTIVE:
            expected.sort(key=lambda each: each.activity_at or 0)
        if order is Order.DESC:
            expected.reverse()
        assert [each.id for each in found] == [each.id for each in expected]

    await asyncio.to_thread(check)


async def _walk(store: Store, who: Principal, selected: Selection, asked: PageRequest) -> list[Thread]:
    """Read all pages, from the first or from the last, and check what each says of those beside it."""
    found: list[Thread] = []
    while True:
        page = await threads.list_page(store, who, asked, selected)
        ends = await threads.page_ends(store, who, asked, page, selected)
        assert (ends.has_previous, ends.has_next) == (
            (page.has_more, bool(found)) if asked.from_end else (bool(found), page.has_more)
        )
        found = [*page.items, *found] if asked.from_end else [*found, *page.items]
        if not page.has_more:
            assert await threads.count(store, who, selected) == len(found)
            return found
        cursor = selected.cursor_of(page.items[0 if asked.from_end else -1])
        asked = replace(asked, before=cursor) if asked.from_end else replace(asked, after=cursor)


@pytest.mark.parametrize("only", [None, ThreadFilter((MetadataMatch("k", ("v",)),))], ids=["all", "a pair"])
async def test_a_walk_while_threads_move_repeats_no_activity_and_loses_no_thread_that_stayed(
    store: Store, who: Principal, only: ThreadFilter | None
) -> None:
    made = [await threads.create(store, who, NewThread({"k": "v"}, {})) for _ in range(30)]
    moved, selected, asked = set(), Selection(ACTIVE, only), PageRequest(4)
    seen: list[Thread] = []
    for n in range(100):
        page = await threads.list_page(store, who, asked, selected)
        seen += page.items
        if not page.has_more:
            break
        asked = replace(asked, after=selected.cursor_of(page.items[-1]))
        for each in (made[(7 * n) % 30], page.items[-1]):  # also the one at the cursor
            await messages.create(store, who, each.id, new_message())
            moved.add(each.id)

    places = [(each.id, each.activity_at) for each in seen]
    assert len(set(places)) == len(places)
    assert {each.id for each in made} - moved <= {each.id for each in seen}
    assert [each.activity_at for each in seen] == sorted((each.activity_at or 0 for each in seen), reverse=True)


@pytest.mark.parametrize(
    ("only", "statements"),
    [
        (ThreadFilter((MetadataMatch("k", ("v",)),)), 1),  # its index is in the order of the list
        (ThreadFilter((MetadataMatch("k", ("v", "w")),), owner="anna"), 1),
        (ThreadFilter((MetadataMatch("k", ("v",)), MetadataMatch("few", ("v",)))), 3),
        (ThreadFilter((MetadataMatch("few"),)), 2),
        (ThreadFilter((MetadataMatch("k"),)), 2),
    ],
    ids=["a pair", "an owner's", "two pairs, of which few threads have the second", "a key of few", "a key of many"],
)
async def test_threads_are_found_by_a_condition_that_few_fulfil(
    store: Store, who: Principal, monkeypatch: pytest.MonkeyPatch, only: ThreadFilter, statements: int
) -> None:
    monkeypatch.setattr(reads, "MOST_FEW", 2)
    for few in ({"few": "v"}, {}, {}, {"few": "v"}):
        await threads.create(store, who, NewThread({"k": "v", **few}, {}, (), "anna"))

    with statements_of(store) as sent:
        page = await threads.list_page(store, who, PageRequest(), Selection(only=only))

    assert len(page.items) == (2 if any(each.key == "few" for each in only.metadata) else 4)
    assert len(sent) == statements
    assert any("count(*)" in each for each in sent) == (statements > 1)


async def test_a_place_stays_where_it_is_when_its_thread_is_deleted(store: Store, who: Principal) -> None:
    made = [await threads.create(store, who, NewThread({}, {})) for _ in range(3)]
    cursor = Selection(ACTIVE).cursor_of(made[1])

    await threads.delete(store, who, made[1].id)
    page = await threads.list_page(store, who, PageRequest(after=cursor), Selection(ACTIVE))

    assert [each.id for each in page.items] == [made[0].id]


async def test_keys_that_differ_by_a_character_that_is_none_are_stored(store: Store, who: Principal) -> None:
    both = {"\0": "1", "\uffff": "2"}

    made = await threads.create(store, who, NewThread(both, {}))
    changed = await threads.update(store, who, made.id, ThreadPatch({"x" + key: value for key, value in both.items()}))

    assert (made.metadata, len(changed.metadata)) == (both, 4)


async def test_a_place_of_an_unknown_thread_is_refused(store: Store, who: Principal) -> None:
    asked = PageRequest(after=f"at_5_thread_{'a' * 24}")

    with pytest.raises(InvalidRequest, match="Invalid 'after'"):
        await threads.list_page(store, who, asked, Selection(ACTIVE))


async def test_an_end_user_sees_own_threads_alone_whatever_the_filter(store: Store, who: Principal) -> None:
    for owner in ("anna", "ben"):
        await threads.create(store, who, NewThread({"k": "v"}, {}, (), owner))
    anna = replace(who, reach=Reach(who.reach.project_id, owner="anna"))
    filters = (
        None,
        ThreadFilter(),
        ThreadFilter(owner="ben"),
        ThreadFilter((MetadataMatch("k", ("v",)),)),
        ThreadFilter((MetadataMatch("k", ("v", "w")),)),
    )

    found = {
        (each.owner, n)
        for n, (only, by) in enumerate(product(filters, OrderBy))
        for each in (await threads.list_page(store, anna, PageRequest(), Selection(by, only))).items
    }

    assert {owner for owner, _ in found} == {"anna"}
    assert {n for _, n in found} == {0, 1, 2, 3, 6, 7, 8, 9}
