"""Paging against a model in memory, on both databases and through the entries of both faces."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import messages, threads
from gateway.core.paging import ends_of
from gateway.domain import ids, parse_page
from gateway.domain.ids import MessageId, ThreadId
from gateway.domain.page import WIRE, Order, PageRead, PageRequest
from gateway.domain.principal import Principal, Reach
from tests.core.model import Asking, Change, Entry, answer_of, askings, changes
from tests.effort import times
from tests.make import SOME_SECOND, fill_thread, list_page, make_thread, make_thread_of_second

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from gateway.core import Store
    from gateway.domain.page import Rows
    from tests.faces import GraphQL

RUNS = (None, "run_a", "run_b")
BOTH_ORDERS = pytest.mark.parametrize("order", Order)
_projects = count()


@given(history=changes(st.sampled_from(range(3))), asked=askings(st.sampled_from(RUNS)))
async def test_every_page_of_messages_equals_the_models(
    store: Store, who: Principal, history: list[Change], asked: list[Asking]
) -> None:
    thread_id = await make_thread(store, who)
    entries = await _live_through(store, who, thread_id, history)

    for asking in asked:
        page = asking.request(entries, ids.as_message_id)
        found = await list_page(store, who, thread_id, page, asking.run_id)
        ends = await messages.page_ends(store, who, thread_id, page, found, run_id=asking.run_id)
        written = await list_page(store, who, thread_id, page, asking.run_id, WIRE)

        assert answer_of(found, ends) == asking.expect(entries)
        assert (ids_of(written), written.has_more) == ([each.id for each in found.items], found.has_more)
        read = PageRead((thread_id,), page, asking.run_id, with_edges=True)
        [with_edges] = await messages.list_pages(store, who, read, known=True)
        assert with_edges.items == found.items
        assert not found.rows or (with_edges.edges and ends_of(page, found, with_edges.edges)) == ends


@given(history=changes(st.sampled_from(range(3))), asked=askings(st.sampled_from(RUNS)))
async def test_pages_of_several_threads_equal_those_of_each_thread_alone(
    store: Store, who: Principal, history: list[Change], asked: list[Asking]
) -> None:
    full, empty = await make_thread(store, who), await make_thread(store, who)
    entries = await _live_through(store, who, full, history)

    for asking in asked:
        page = asking.request(entries, ids.as_message_id)
        read = PageRead([empty, full], page, asking.run_id)
        of_empty, of_full = await messages.list_pages(store, who, read, known=True)

        assert of_full.items == (await list_page(store, who, full, page, asking.run_id)).items
        assert of_empty.items == ()
        [_, without_more] = await messages.list_pages(store, who, read._replace(with_more=False), known=True)
        assert (without_more.items, without_more.edges) == (of_full.items, None)


@given(history=changes(st.integers(0, 2)), asked=askings(st.none()))
async def test_every_page_of_threads_equals_the_models(
    store: Store, history: list[Change], asked: list[Asking]
) -> None:
    who = Principal(Reach(f"project_{next(_projects)}"))
    made: list[tuple[int, Entry]] = []
    for change in history:
        made += [(each, Entry(await make_thread_of_second(store, who, SOME_SECOND + each))) for each in change.makes]
        live = [entry for _second, entry in made if entry.is_live]
        if change.deletes is not None and live:
            gone = live[-1 - change.deletes % len(live)]
            await threads.delete(store, who, ThreadId(gone.id))
            gone.is_live = False
    entries = [entry for _second, entry in sorted(made, key=lambda each: each[0])]

    for asking in asked if entries else []:
        page = asking.request(entries, ids.as_thread_id)
        found = await threads.list_page(store, who, page)
        ends = await threads.page_ends(store, who, page, found)

        assert answer_of(found, ends) == asking.expect(entries)


@given(
    size=st.integers(0, 30),
    limit=st.integers(1, 8),
    order=st.sampled_from(Order),
    is_forward=st.booleans(),
    deletes=st.lists(st.lists(st.integers(0, 1000), max_size=3), max_size=30),
)
async def test_paging_visits_remaining_messages_once_while_others_and_its_cursor_are_deleted(
    store: Store, who: Principal, *, size: int, limit: int, order: Order, is_forward: bool, deletes: list[list[int]]
) -> None:
    thread_id = await make_thread(store, who)
    made = [each.id for each in await fill_thread(store, who, thread_id, [None] * size)] if size else []
    expected, met = set(made), list[str]()
    cursor: str | None = None
    for step in range(size + 2):
        page = (
            PageRequest(limit, order, cursor) if is_forward else PageRequest(limit, order, None, cursor, from_end=True)
        )
        found = await list_page(store, who, thread_id, page)
        met += [item.id for item in (found.items if is_forward else found.items[::-1])]
        if not found.has_more:
            break
        cursor = met[-1]
        for n, place in enumerate(deletes[step] if step < len(deletes) else []):
            gone = cursor if n == 0 else made[place % len(made)]
            if gone in expected:
                await messages.delete(store, who, thread_id, MessageId(gone))
                expected.discard(gone)

    walked = made if (order is Order.ASC) == is_forward else made[::-1]
    assert [each for each in met if each in expected] == [each for each in walked if each in expected]
    assert len(met) == len(set(met))


@BOTH_ORDERS
@pytest.mark.parametrize("way", ["after", "before"])
async def test_a_hundred_messages_of_one_second_page_completely_for_each_limit(
    store: Store, who: Principal, order: Order, way: str
) -> None:
    thread_id = await make_thread(store, who)
    made = [each.id for each in await fill_thread(store, who, thread_id, [None] * 100)]
    walked = made if (order is Order.ASC) == (way == "after") else made[::-1]

    for limit in range(1, 101, times(fast=11, slow=1)) if way == "after" else (1, 2, 7, 33, 50, 99, 100):
        met = [page async for page in _walk(store, who, thread_id, limit, order, way)]

        assert [each for page in met for each in page] == walked
        assert [len(page) for page in met[:-1]] == [limit] * (len(met) - 1)


@BOTH_ORDERS
async def test_a_hundred_threads_of_one_second_page_completely(store: Store, who: Principal, order: Order) -> None:
    made = [await make_thread_of_second(store, who, SOME_SECOND) for _ in range(100)]

    for limit in (1, 3, 33, 50, 99, 100):
        met: list[str] = []
        has_more = True
        while has_more:
            found = await threads.list_page(store, who, PageRequest(limit, order, met[-1] if met else None))
            met += [item.id for item in found.items]
            has_more = found.has_more

        assert met == (made if order is Order.ASC else made[::-1])


@BOTH_ORDERS
@pytest.mark.parametrize("way", ["after", "before"])
async def test_paging_visits_existing_messages_once_during_concurrent_writes(
    store: Store, who: Principal, order: Order, way: str
) -> None:
    thread_id = await make_thread(store, who)
    made = [each.id for each in await fill_thread(store, who, thread_id, [None] * 30)]
    deleted = set(made[::3])

    async def insert() -> None:
        for _ in range(12):
            await fill_thread(store, who, thread_id, [None])

    async def delete() -> None:
        for gone in deleted:
            await messages.delete(store, who, thread_id, gone)

    others = asyncio.gather(insert(), delete())
    met = [each async for page in _walk(store, who, thread_id, 3, order, way) for each in page]
    await others

    walked = made if (order is Order.ASC) == (way == "after") else made[::-1]
    assert [each for each in met if each in made and each not in deleted] == [
        each for each in walked if each not in deleted
    ]
    assert len(met) == len(set(met))


@BOTH_ORDERS
async def test_rest_pages_by_last_id_until_the_end(
    store: Store, who: Principal, rest: httpx.AsyncClient, order: Order
) -> None:
    thread_id = await make_thread(store, who, count=24)
    met: list[str] = []
    query = {"limit": "8", "order": order.value}
    has_more = True
    while has_more:
        page = (await rest.get(f"/threads/{thread_id}/messages", params=query)).json()
        met += [each["content"][0]["text"]["value"] for each in page["data"]]
        query["after"], has_more = page["last_id"], page["has_more"]

    numbers = [str(n) for n in range(24)]
    assert met == (numbers if order is Order.ASC else numbers[::-1])


@BOTH_ORDERS
async def test_graphql_pages_backwards_by_start_cursor_to_the_beginning(
    store: Store, who: Principal, graphql: GraphQL, order: Order
) -> None:
    thread_id = await make_thread(store, who, count=24)
    query = """query($id: ID!, $before: String, $order: SortOrder!) { thread(id: $id) {
        messages(last: 8, before: $before, order: $order) {
            nodes { text } pageInfo { startCursor hasPreviousPage } } } }"""
    met: list[str] = []
    before, has_more = None, True
    while has_more:
        data = await graphql(query, id=thread_id, before=before, order=order.name)
        page = data["thread"]["messages"]
        met = [each["text"] for each in page["nodes"]] + met
        before, has_more = page["pageInfo"]["startCursor"], page["pageInfo"]["hasPreviousPage"]

    numbers = [str(n) for n in range(24)]
    assert met == (numbers if order is Order.ASC else numbers[::-1])


def ids_of(page: Rows) -> list[str]:
    """Name the JSON objects of a page, which names them too."""
    found = [orjson.loads(row[1])["id"] for row in page.rows]
    assert found == [row[0] for row in page.rows]
    return found


async def _live_through(store: Store, who: Principal, thread_id: ThreadId, history: list[Change]) -> list[Entry]:
    """Make and delete messages as drawn, and remember them all; there is at least one."""
    entries: list[Entry] = []
    for change in [Change(makes=[0]), *history]:
        runs = [RUNS[kind] for kind in change.makes]
        if runs:
            made = await fill_thread(store, who, thread_id, runs)
            entries += [Entry(each.id, each.run_id) for each in made]
        live = [entry for entry in entries if entry.is_live]
        if change.deletes is not None and live:
            gone = live[change.deletes % len(live)]
            await messages.delete(store, who, thread_id, MessageId(gone.id))
            gone.is_live = False
    return entries


async def _walk(
    store: Store, who: Principal, thread_id: ThreadId, limit: int, order: Order, way: str
) -> AsyncIterator[list[str]]:
    """Read page after page as a REST client does, each in the order in which it is walked."""
    query = {"limit": str(limit), "order": order.value}
    if way == "before":
        # The first page of a walk back has no cursor in front of it, so it is asked for as GraphQL asks.
        page = PageRequest(limit, order, from_end=True)
    else:
        page = parse_page.from_query(query, ids.as_message_id)
    has_more = True
    while has_more:
        found = await list_page(store, who, thread_id, page)
        has_more = found.has_more
        met: list[str] = [item.id for item in found.items]
        if way == "before":
            met.reverse()
        yield met
        if met:
            page = parse_page.from_query({**query, way: met[-1]}, ids.as_message_id)
