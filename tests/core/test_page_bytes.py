"""Pages within the limit on bytes, compared with a model in memory: both databases, all functions that read one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core import messages, streaming, threads, transfer
from gateway.core.paging import ends_of
from gateway.domain import ids
from gateway.domain.change import MessageCreated, MessageUpdated
from gateway.domain.message import Message, MessagePatch, Status
from gateway.domain.page import WIRE, Order, PageRead, PageRequest
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread_list import Beside, OrderBy, Selection
from gateway.errors import AnswerTooLarge
from gateway.store.store import opened_store
from tests.core.model import Asking, Entry, answer_of, askings
from tests.core.small_pages import small_pages
from tests.make import list_page, make_thread, put_message, text_part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from gateway.core import Store
    from gateway.domain.ids import ThreadId

AT_MOST = 600  # bytes of a page in these tests
RUNS = (None, "run_a")
LAST = Beside(PageRead((), PageRequest(1), with_more=False))
FIELDS = [("id",), ("role_value", "created_at"), ("metadata_json", "content_json"), Message._fields]
SIZES = st.lists(st.integers(0, 300) | st.integers(300, 900), min_size=1, max_size=20)


@pytest.fixture(autouse=True, scope="module")
def _small_pages() -> Iterator[None]:
    with small_pages(AT_MOST):
        yield


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Open a store whose statements are built here, and with it forgotten."""
    async with opened_store(database_url) as opened:
        yield opened


@given(sizes=SIZES, asked=askings(st.sampled_from(RUNS)))
async def test_every_function_ends_a_page_where_the_model_does(
    store: Store, who: Principal, sizes: list[int], asked: list[Asking]
) -> None:
    thread_id, entries = await _thread_of(store, who, sizes)

    for asking in asked:
        request = asking.request(entries, ids.as_message_id)
        found = await list_page(store, who, thread_id, request, asking.run_id)
        ends = await messages.page_ends(store, who, thread_id, request, found, run_id=asking.run_id)
        written = await list_page(store, who, thread_id, request, asking.run_id, WIRE)

        expected = asking.expect(entries, AT_MOST)
        assert answer_of(found, ends) == expected
        assert (len(written.rows), written.has_more) == (len(expected.ids), expected.has_more)
        for fields in FIELDS:
            read = PageRead((thread_id,), request, asking.run_id, fields)
            for each in (read._replace(with_thread=True), read._replace(with_edges=True)):
                [page] = await messages.list_pages(store, who, each)

                assert [message.id for message in page.items] == expected.ids
                assert not page.rows or (page.edges and ends_of(request, page, page.edges)) == ends


@given(sizes=SIZES, limit=st.integers(1, 8), order=st.sampled_from(Order), is_forward=st.booleans())
async def test_paging_visits_every_message_once(
    store: Store, who: Principal, *, sizes: list[int], limit: int, order: Order, is_forward: bool
) -> None:
    thread_id, entries = await _thread_of(store, who, sizes)
    met: list[str] = []
    has_more = True
    while has_more:
        cursor = met[-1] if met else None
        asked = PageRequest(limit, order, cursor) if is_forward else PageRequest(limit, order, None, cursor, True)
        found = await list_page(store, who, thread_id, asked)
        met += [each.id for each in (found.items if is_forward else found.items[::-1])]
        has_more = found.has_more
        assert found.items
        assert len(found.items) == 1 or found.stored <= AT_MOST

    made = [each.id for each in entries]
    assert met == (made if (order is Order.ASC) == is_forward else made[::-1])


@example(sizes=[0, 127], others=[900], limit=1)  # with the row after the first page they would be too large
@given(sizes=SIZES, others=SIZES, limit=st.integers(1, 8))
async def test_pages_of_several_threads_equal_single_ones_or_are_too_large(
    store: Store, who: Principal, sizes: list[int], others: list[int], limit: int
) -> None:
    several = [(await _thread_of(store, who, each))[0] for each in (sizes, others)]
    asked = PageRequest(limit)
    alone = [await list_page(store, who, each, asked) for each in several]

    if sum(each.stored for each in alone) > 2 * AT_MOST:
        with pytest.raises(AnswerTooLarge):
            await messages.list_pages(store, who, PageRead(several, asked))
    else:
        pages = await messages.list_pages(store, who, PageRead(several, asked))

        assert pages == alone


@given(
    sizes=st.lists(st.none() | st.integers(0, 900), min_size=1, max_size=12),
    limit=st.integers(1, 8),
    by=st.sampled_from(OrderBy),
    is_forward=st.booleans(),
)
async def test_paging_with_last_messages_visits_every_thread_once(
    store: Store, *, sizes: list[int | None], limit: int, by: OrderBy, is_forward: bool
) -> None:
    who = Principal(Reach("default", owner=ids.new_thread_id()))
    made = dict([await _thread_ending_in(store, who, size) for size in sizes])
    selected, met, has_more = Selection(by), list[str](), True
    cursor: str | None = None
    while has_more:
        after, before = (cursor, None) if is_forward else (None, cursor)
        asked = PageRequest(limit, Order.ASC, after, before, from_end=not is_forward)
        found = await threads.list_page(store, who, asked, selected, LAST)
        in_turn = found.items if is_forward else found.items[::-1]
        met += [each.id for each in in_turn]
        cursor, has_more = selected.cursor_of(in_turn[-1]), found.has_more
        stored = [row[-1] for row in found.rows]
        assert len(stored) == 1 or sum(stored) <= AT_MOST
        assert [each and each.text for each in found.last_messages()] == [made[each.id] for each in found.items]

    assert sorted(met) == sorted(made)


@given(sizes=SIZES)
async def test_messages_by_id_are_all_returned_once_or_too_large(
    store: Store, who: Principal, sizes: list[int]
) -> None:
    _, entries = await _thread_of(store, who, sizes)
    wanted = [each.id for each in entries]

    if len(wanted) > 1 and sum(each.stored for each in entries) > 2 * AT_MOST:
        with pytest.raises(AnswerTooLarge):
            await messages.get_many(store, who, wanted)
    else:
        found = await messages.get_many(store, who, [*wanted, *wanted])

        assert len(found.rows) == len(wanted)
        assert {each.id: each.text for each in found.items} == {
            each.id: "x" * size for each, size in zip(entries, sizes, strict=True)
        }


@given(sizes=SIZES)
async def test_followers_and_exports_visit_every_message_within_byte_limits(
    store: Store, who: Principal, sizes: list[int]
) -> None:
    thread_id, entries = await _thread_of(store, who, sizes)
    by_id = {each.id: each for each in entries}
    position, told_of = 0, list[str]()
    changed, has_more = 0, True
    met: list[str] = []
    async with store.read() as reads:
        while has_more:
            batch = await reads.list_messages_after(who.reach, thread_id, position, 4)
            told_of += [each.id for _, each in batch.items]
            position, has_more = batch.position, batch.has_more
            assert len(batch.items) <= 1 or sum(by_id[each.id].stored for _, each in batch.items) <= AT_MOST
        has_more = True
        while has_more:
            changes = await reads.list_changes(who.reach, thread_id, changed, 4)
            met += [each.message.id for _, each in changes.items]  # type: ignore[union-attr]
            changed, has_more = changes.position, changes.has_more
    exported = [each.id async for each in transfer.export_messages(store, who, thread_id)]

    assert told_of == met == exported == [each.id for each in entries]


@given(sizes=SIZES, updated=st.lists(st.integers(0, 19), max_size=6))
async def test_changes_come_with_their_messages_in_batches_within_byte_limits(
    store: Store, who: Principal, sizes: list[int], updated: list[int]
) -> None:
    thread_id, entries = await _thread_of(store, who, sizes)
    last = dict.fromkeys(entries[n % len(entries)].id for n in updated)
    for message_id in last:
        await messages.update(store, who, None, ids.MessageId(message_id), MessagePatch({"k": "v"}))
    met, position, has_more = [], 0, True
    async with store.read() as reads:
        while has_more:
            batch = await reads.list_changes(who.reach, thread_id, position, 4)
            changes = [(type(each), each.message) for _, each in batch.items]  # type: ignore[union-attr]
            assert len(changes) <= 1 or sum(message.stored for _, message in changes) <= AT_MOST
            assert all(message.metadata == ({"k": "v"} if message.id in last else {}) for _, message in changes)
            met += [(kind, message.id) for kind, message in changes]
            position, has_more = batch.position, batch.has_more

    assert met == [
        *((MessageCreated, each.id) for each in entries),
        *((MessageUpdated, message_id) for message_id in last),
    ]


async def test_deltas_of_a_message_in_progress_count_as_its_bytes(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    growing = [await put_message(store, who, thread_id, status=Status.IN_PROGRESS) for _ in range(3)]
    for each in growing:
        await _grow(store, who, each, "x" * (AT_MOST // 2))

    found = await list_page(store, who, thread_id, PageRequest(order=Order.ASC))
    written = await list_page(store, who, thread_id, PageRequest(order=Order.ASC), fields=WIRE)

    assert [each.id for each in found.items] == [growing[0].id]
    assert found.has_more
    assert (*written.id_at_ends, written.has_more) == (growing[0].id, growing[0].id, True)


async def _grow(store: Store, who: Principal, message: Message, text: str) -> None:
    await streaming.append_text(store, who, message.id, text)


async def _thread_ending_in(store: Store, who: Principal, size: int | None) -> tuple[ThreadId, str | None]:
    """Make a thread whose last message has such a size, or none, and return the text of this message."""
    thread_id = await make_thread(store, who)
    if size is None:
        return thread_id, None
    for text in ("before", "x" * size):
        await put_message(store, who, thread_id, content=[text_part(text)])
    return thread_id, "x" * size


async def _thread_of(store: Store, who: Principal, sizes: list[int]) -> tuple[ThreadId, list[Entry]]:
    """Make a thread of messages of such sizes, in two runs by turns, as they are kept."""
    thread_id = await make_thread(store, who)
    entries: list[Entry] = []
    for n, size in enumerate(sizes):
        made = await put_message(store, who, thread_id, content=[text_part("x" * size)], run_id=RUNS[n % 2])
        stored = len(made.content_json) + len(made.attachments_json) + len(made.metadata_json)
        entries.append(Entry(made.id, made.run_id, stored=stored))
    return thread_id, entries
