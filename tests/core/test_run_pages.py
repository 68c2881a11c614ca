"""Pages of runs, their steps and assistants end by their bytes, as those of messages do; both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import assistants, runs
from gateway.domain import parse_run
from gateway.domain.ids import ThreadId, new_id
from gateway.domain.page import Order, Page, PageRequest
from gateway.domain.principal import Principal, Reach
from gateway.domain.run import Assistant, Run, RunStep
from gateway.errors import AnswerTooLarge
from gateway.store.store import opened_store
from tests.core.small_pages import small_pages
from tests.make import make_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from gateway.core import Store

    Read = Callable[[PageRequest], Awaitable[Page[Any]]]

AT_MOST: Final = 2_000  # bytes of a page in these tests
SIZES: Final = st.lists(st.integers(0, 900) | st.integers(1_500, 2_500), min_size=1, max_size=12)


@pytest.fixture(autouse=True, scope="module")
def _small_pages() -> Iterator[None]:
    with small_pages(AT_MOST):
        yield


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Open a store whose statements are built here, and with it forgotten."""
    async with opened_store(database_url) as opened:
        yield opened


@given(sizes=SIZES, limit=st.integers(1, 8), order=st.sampled_from(Order), is_forward=st.booleans())
async def test_paging_visits_every_run_once(
    store: Store, who: Principal, *, sizes: list[int], limit: int, order: Order, is_forward: bool
) -> None:
    thread_id, made = await _with_runs(store, who, sizes)

    met = await _walk(lambda asked: runs.list_page(store, who, thread_id, asked), limit, order, is_forward=is_forward)

    assert met == (made if (order is Order.ASC) == is_forward else made[::-1])


@given(sizes=SIZES, limit=st.integers(1, 8), order=st.sampled_from(Order), is_forward=st.booleans())
async def test_paging_visits_every_step_once(
    store: Store, who: Principal, *, sizes: list[int], limit: int, order: Order, is_forward: bool
) -> None:
    thread_id, [run_id, *_] = await _with_runs(store, who, [0])
    made = [_step(thread_id, run_id, n, size) for n, size in enumerate(sizes, 2)]
    await store.write(lambda transaction: transaction.import_runs(who.reach, [], made, {thread_id: 1 + len(made)}))
    ids = [each.id for each in made]

    met = await _walk(
        lambda asked: runs.list_steps(store, who, thread_id, run_id, asked), limit, order, is_forward=is_forward
    )

    assert met == (ids if (order is Order.ASC) == is_forward else ids[::-1])


@given(sizes=SIZES, limit=st.integers(1, 8), order=st.sampled_from(Order), is_forward=st.booleans())
async def test_paging_visits_every_assistant_once(
    store: Store, *, sizes: list[int], limit: int, order: Order, is_forward: bool
) -> None:
    who = Principal(Reach(new_id("project")))
    texts = ["x" * size for size in sizes]
    made = [
        (await assistants.create(store, who, parse_run.new_assistant({"model": "m", "instructions": each}))).id
        for each in texts
    ]

    met = await _walk(lambda asked: assistants.list_page(store, who, asked), limit, order, is_forward=is_forward)

    assert met == (made if (order is Order.ASC) == is_forward else made[::-1])


@given(sizes=SIZES, others=SIZES, limit=st.integers(1, 8))
async def test_runs_of_several_threads_are_all_returned_or_too_large(
    store: Store, who: Principal, sizes: list[int], others: list[int], limit: int
) -> None:
    made = [await _with_runs(store, who, each) for each in (sizes, others)]
    threads, asked = [each[0] for each in made], PageRequest(limit, Order.ASC)
    read = [_run(threads[0], 1, size) for each in (sizes, others) for size in each[: limit + 1]]

    if sum(map(_stored, read)) > 2 * AT_MOST:  # with the run after each page
        with pytest.raises(AnswerTooLarge):
            await runs.list_pages(store, who, threads, asked)
        return
    found = await runs.list_pages(store, who, threads, asked)

    assert [[run.id for run in found[thread].items] for thread in threads] == [ids[:limit] for _, ids in made]
    assert [found[thread].has_more for thread in threads] == [len(ids) > limit for _, ids in made]


async def _walk(read: Read, limit: int, order: Order, *, is_forward: bool) -> list[str]:
    """Read all pages, and check that each has one item or fits."""
    met: list[str] = []
    has_more = True
    while has_more:
        cursor = met[-1] if met else None
        after, before = (cursor, None) if is_forward else (None, cursor)
        found = await read(PageRequest(limit, order, after, before, from_end=not is_forward))
        assert len(found.items) == 1 or sum(map(_stored, found.items)) <= AT_MOST
        met += [each.id for each in (found.items if is_forward else found.items[::-1])]
        has_more = found.has_more
    return met


def _stored(item: Run | RunStep | Assistant) -> int:
    if isinstance(item, Assistant):
        return len(item.fields_json)
    return len(item.details_json) if isinstance(item, RunStep) else len(item.settings_json) + len(item.metadata_json)


async def _with_runs(store: Store, who: Principal, sizes: list[int]) -> tuple[ThreadId, list[str]]:
    """Make a thread with ended runs whose instructions have such sizes."""
    thread_id = await make_thread(store, who)
    made = [_run(thread_id, n, size) for n, size in enumerate(sizes, 1)]
    await store.write(lambda transaction: transaction.import_runs(who.reach, made, [], {thread_id: len(made)}))
    return thread_id, [each.id for each in made]


def _run(thread_id: ThreadId, position: int, size: int) -> Run:
    begun = (new_id("run"), thread_id, position, 1, "asst_a", "completed", 1, None, None, None, 2)
    settings = f'{{"instructions":"{"x" * size}"}}'
    values: list[Any] = [*begun, None, None, None, None, "{}", settings, None, None]
    return Run(*values)


def _step(thread_id: ThreadId, run_id: str, position: int, size: int) -> RunStep:
    begun = (new_id("step"), run_id, thread_id, position, "asst_a", 1, "tool_calls", "completed")
    details = f'{{"type":"{"x" * size}"}}'
    values: list[Any] = [*begun, None, 2, None, None, None, details, None]
    return RunStep(*values)
