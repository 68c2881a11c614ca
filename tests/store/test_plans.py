"""What the databases' planners make of our statements: an index, a range, and as many rows as the page has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gateway.domain.page import WHOLE, WIRE, Order, PageRequest
from gateway.domain.thread_list import MetadataMatch, ThreadFilter
from gateway.domain.wire import dump_text
from gateway.store.schema import tables
from gateway.store.schema.backfill import FILLINGS, read_after
from gateway.store.statements import messages, postgres_pages, selected_threads
from tests.store.full import (
    ALL,
    FEW,
    GAPPED,
    LARGE,
    OWN,
    SMALL,
    fill,
    paging_and_looking_up,
    paging_threads,
    selecting_few,
    selecting_threads,
)
from tests.store.plans import Plan, filled, nodes, postgres_plan, rows_seen, sqlite_plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from gateway.domain.principal import Reach


_each_reach = pytest.mark.parametrize("reach", [ALL, OWN], ids=["a project", "an owner"])


@pytest.fixture(scope="module")
async def sqlite_full(new_sqlite_url: Callable[[], str]) -> AsyncIterator[AsyncConnection]:
    async with filled(new_sqlite_url(), fill) as connection:
        yield connection


@pytest.fixture(scope="module")
async def postgres_full(own_postgres_url: str) -> AsyncIterator[AsyncConnection]:
    async with filled(own_postgres_url, fill) as connection:
        yield connection


@_each_reach
async def test_sqlite_searches_an_index_and_sorts_nothing(sqlite_full: AsyncConnection, reach: Reach) -> None:
    asked = paging_and_looking_up(LARGE, reach) | paging_threads(reach)

    plans = {name: await sqlite_plan(sqlite_full, statement) for name, statement in asked.items()}

    assert {name: plan for name, plan in plans.items() if _SCAN.search(plan) or "TEMP B-TREE" in plan} == {}
    assert {name for name, plan in plans.items() if "INDEX" not in plan} == set()


@_each_reach
async def test_sqlite_scans_an_index_range_from_a_cursor(sqlite_full: AsyncConnection, reach: Reach) -> None:
    asked = paging_and_looking_up(LARGE, reach) | paging_threads(reach)
    bounded = {name: each for name, each in asked.items() if re.search("after|before|between|any_", name)}

    plans = {name: await sqlite_plan(sqlite_full, statement) for name, statement in bounded.items()}

    ranged = re.compile(r"SEARCH (messages|threads) USING (COVERING )?INDEX \w+ \(.* AND (position|created_at)[<>]\?")
    assert {name: plan for name, plan in plans.items() if not ranged.search(plan)} == {}


@_each_reach
async def test_sqlite_reads_any_list_of_threads_in_the_order_of_an_index(
    sqlite_full: AsyncConnection, reach: Reach
) -> None:
    asked = {name: each for name, each in selecting_threads(reach).items() if not _has_both_kinds(name, reach)}

    plans = {name: await sqlite_plan(sqlite_full, each) for name, each in asked.items()}

    expected = {name: _list_index(name, reach) for name in plans}
    assert {name: plan for name, plan in plans.items() if not re.match(expected[name], plan)} == {}
    assert {name: plan for name, plan in plans.items() if _SCAN.search(plan) or "TEMP B-TREE" in plan} == {}


async def test_sqlite_reads_both_kinds_of_rows_of_a_pair_by_an_index(sqlite_full: AsyncConnection) -> None:
    asked = {name: each for name, each in selecting_threads().items() if _has_both_kinds(name, ALL)}

    plans = {name: await sqlite_plan(sqlite_full, each) for name, each in asked.items()}

    pairs = re.compile(r"SEARCH thread_metadata USING COVERING INDEX ix_thread_metadata_active \(.*[<>].*\)")
    assert len(plans) == 3 * 4
    assert {name: plan for name, plan in plans.items() if len(pairs.findall(plan)) != 2} == {}
    # Threads of a page, and those of the rows that are in no order; both are sorted.
    assert {name: plan for name, plan in plans.items() if plan.count("TEMP B-TREE") != 2} == {}
    assert {name: plan for name, plan in plans.items() if re.search("SCAN (thread|deleted)", plan)} == {}


@_each_reach
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_reads_one_page_of_any_list_of_threads_by_index(
    postgres_full: AsyncConnection, mode: str, reach: Reach
) -> None:
    for name, statement in selecting_threads(reach).items():
        found = list(nodes(await postgres_plan(postgres_full, statement, mode)))

        allowed = {"Sort"} if _has_both_kinds(name, reach) else set()  # a page, and rows that are in no order
        assert {node["Node Type"] for node in found} & _POSTGRES_WORK - allowed == set(), name
        assert max(rows_seen(node) for node in found if "Scan" in node["Node Type"]) == 20 + 1, name
        assert [each for each in map(_bounds_of_time, found) if len(each) > len(set(each))] == [], name
        pairs = {node["Index Name"] for node in found if node.get("Relation Name") == tables.thread_metadata.name}
        assert reach is ALL or pairs <= {"pk_thread_metadata"}, name  # those of one thread alone
        assert not _has_both_kinds(name, reach) or "ix_thread_metadata_created" not in pairs, name


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_looks_up_the_threads_of_rows_that_are_in_no_order_alone(
    postgres_full: AsyncConnection, mode: str
) -> None:
    rare = ThreadFilter((MetadataMatch("n", ("7",)),))

    for page, times in ((PageRequest(20), {}), (PageRequest(20, Order.ASC, after="thread_gone7"), {"after_at": 0})):
        statement = selected_threads.list_active(ALL, page, rare.values | times)
        found = list(nodes(await postgres_plan(postgres_full, statement, mode)))

        assert {node["Node Type"] for node in found} & _POSTGRES_WORK == {"Sort"}
        assert max(rows_seen(node) for node in found if "Scan" in node["Node Type"]) == 1
        pairs = {node["Index Name"] for node in found if node.get("Relation Name") == tables.thread_metadata.name}
        assert pairs == {"ix_thread_metadata_active"}


async def test_postgres_looks_up_the_threads_of_a_page_at_once(postgres_full: AsyncConnection) -> None:
    plan = await postgres_plan(postgres_full, selecting_threads()["active, a pair, newest"])

    found = [each for each in nodes(plan) if each.get("Relation Name") == tables.threads.name]
    assert {each["Index Name"] for each in found} == {"ix_threads_filling", "pk_threads"}
    assert max(each["Actual Loops"] for each in found) == 1


async def test_sqlite_looks_few_threads_up_by_their_numbers(sqlite_full: AsyncConnection) -> None:
    asked = {name: each for name, each in selecting_few().items() if not name.startswith("count some")}

    plans = {name: await sqlite_plan(sqlite_full, each) for name, each in asked.items()}

    by_number = "SEARCH threads USING INTEGER PRIMARY KEY (rowid=?)\nLIST SUBQUERY"
    assert {name: plan for name, plan in plans.items() if not plan.startswith(by_number)} == {}
    assert {name: plan for name, plan in plans.items() if _SCAN.search(plan)} == {}


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_looks_few_threads_up_and_passes_over_no_other(
    postgres_full: AsyncConnection, mode: str
) -> None:
    for name, statement in selecting_few().items():
        found = list(nodes(await postgres_plan(postgres_full, statement, mode)))

        assert {node["Node Type"] for node in found} & _POSTGRES_WORK <= {"Sort", *_BITMAP}, name
        assert max(rows_seen(node) for node in found if "Index" in node["Node Type"]) <= FEW, name


async def test_rows_to_fill_are_read_in_the_order_of_their_key(
    sqlite_full: AsyncConnection, postgres_full: AsyncConnection
) -> None:
    for filling in FILLINGS:
        statement = read_after(filling, filling.begin, 20)

        plan = await sqlite_plan(sqlite_full, statement)
        found = list(nodes(await postgres_plan(postgres_full, statement, "force_generic_plan")))

        columns = ",".join(column.name for column in filling.key)
        assert re.fullmatch(rf"SEARCH \w+ USING INDEX \w+ \(\({columns}\)>\(.*", plan)
        assert [node["Node Type"] for node in found] == ["Limit", "Index Scan"]
        assert max(map(rows_seen, found)) == 20


def _bounds_of_time(node: Plan) -> list[str]:
    """Return from which sides a scan is bounded: from two bounds of one side, it may begin at the farther one."""
    return re.findall(r"(?:_at|seq\)) ([<>])", node.get("Index Cond", ""))


@_each_reach
async def test_sqlite_finds_a_thread_and_the_edges_of_a_page_by_index(
    sqlite_full: AsyncConnection, reach: Reach
) -> None:
    page = PageRequest(20, Order.ASC, after=f"msg_{LARGE}_150")

    plan = await sqlite_plan(sqlite_full, messages.get_thread_with_edges(reach, LARGE, page))

    assert "SEARCH threads USING INDEX sqlite_autoindex_threads_1" in plan
    assert not _SCAN.search(plan)
    assert "TEMP B-TREE" not in plan


@_each_reach
async def test_sqlite_finds_each_of_several_messages_by_its_id(sqlite_full: AsyncConnection, reach: Reach) -> None:
    wanted = dump_text([f"msg_{LARGE}_150", f"msg_{LARGE}_160"])

    plan = await sqlite_plan(sqlite_full, messages.get_messages_of(reach, wanted))

    assert plan.index("SCAN wanted") < plan.index("SEARCH messages USING INDEX")
    assert "(project_id=? AND id=?)" in plan
    assert "SCAN messages" not in plan
    assert "TEMP B-TREE" not in plan


@_each_reach
async def test_sqlite_reads_pages_of_several_threads_by_index_and_in_their_order(
    sqlite_full: AsyncConnection, reach: Reach
) -> None:
    page = PageRequest(20, before=f"msg_{LARGE}_150")

    plan = await sqlite_plan(sqlite_full, messages.list_messages_of_each(reach, dump_text([SMALL, LARGE]), page))

    at = [plan.index(each) for each in ("SCAN wanted", "SCAN near", "SEARCH messages USING INDEX")]
    assert at == sorted(at)
    assert "(project_id=? AND thread_id=? AND position=?)" in plan
    assert "SCAN messages" not in plan
    assert "TEMP B-TREE" not in plan


@_each_reach
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_finds_a_thread_with_its_page_by_index(
    postgres_full: AsyncConnection, mode: str, reach: Reach
) -> None:
    statement = postgres_pages.get_thread_with_messages(reach, LARGE, PageRequest(20))

    found = list(nodes(await postgres_plan(postgres_full, statement, mode)))

    assert {node["Node Type"] for node in found} & _POSTGRES_WORK == set()


@_each_reach
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_scans_indexes_only_and_sorts_nothing(
    postgres_full: AsyncConnection, mode: str, reach: Reach
) -> None:
    asked = paging_and_looking_up(LARGE, reach) | paging_threads(reach)

    plans = {name: await postgres_plan(postgres_full, statement, mode) for name, statement in asked.items()}

    kinds = {name: {node["Node Type"] for node in nodes(plan)} for name, plan in plans.items()}
    # Look-ups of some rows in no order may gather or sort what they have found by index; pages may not.
    unordered = {"known_messages", "count_messages_of_run"}
    refused = {
        name: found & _POSTGRES_WORK - ({*_BITMAP, "Sort"} if name in unordered else set())
        for name, found in kinds.items()
    }
    assert {name: found for name, found in refused.items() if found} == {}
    assert {name for name, found in kinds.items() if not any("Index" in kind for kind in found)} == set()


@_each_reach
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_sorts_nothing_to_limit_the_bytes_of_a_page(
    postgres_full: AsyncConnection, mode: str, reach: Reach
) -> None:
    middle = f"msg_{LARGE}_150"
    pages = (PageRequest(20), PageRequest(20, Order.ASC, after=middle), PageRequest(20, before=middle, from_end=True))

    for page in pages:
        statement = postgres_pages.list_messages_within_bytes(reach, LARGE, page, None, WIRE)
        found = list(nodes(await postgres_plan(postgres_full, statement, mode)))

        assert {node["Node Type"] for node in found} & _POSTGRES_WORK == set()
        assert "WindowAgg" in {node["Node Type"] for node in found}


@_each_reach
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgres_reads_pages_of_several_threads_by_index_and_sorts_nothing(
    postgres_full: AsyncConnection, mode: str, reach: Reach
) -> None:
    wanted = dump_text([SMALL, LARGE])

    for fields in (WHOLE, ("role_value", "content_json", "plain_text", "id", "thread_id"), ("id", "thread_id")):
        statement = postgres_pages.list_messages_of_each(reach, wanted, PageRequest(20), None, fields)
        found = list(nodes(await postgres_plan(postgres_full, statement, mode)))

        pages = [node for node in found if node.get("Relation Name") == "messages"]
        assert [(node["Actual Rows"], node["Actual Loops"]) for node in pages] == [(21, 2)]
        assert {node["Node Type"] for node in found} & _POSTGRES_WORK == set()


@_each_reach
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("thread_id", [LARGE, GAPPED])
async def test_postgres_reads_as_many_rows_in_a_large_thread_as_in_a_small_one(
    postgres_full: AsyncConnection, thread_id: str, mode: str, reach: Reach
) -> None:
    small, large = paging_and_looking_up(SMALL, reach), paging_and_looking_up(thread_id, reach)

    touched = {
        name: [_rows_touched(await postgres_plan(postgres_full, each[name], mode)) for each in (small, large)]
        for name in small
    }

    assert {name: rows for name, rows in touched.items() if rows[0] != rows[1]} == {}


async def test_postgres_reads_one_page_of_rows_and_the_cursors(postgres_full: AsyncConnection) -> None:
    asked = {
        **paging_and_looking_up(LARGE),
        **{name: each for name, each in paging_threads().items() if name != "count_messages_of_run"},
    }

    touched = {name: _rows_touched(await postgres_plan(postgres_full, each)) for name, each in asked.items()}

    assert {name: rows for name, rows in touched.items() if rows > 20 + 1 + 2} == {}


# json_each: the ids that are looked for.
_SCAN = re.compile("SCAN (?!CONSTANT ROW|json_each|condition VIRTUAL)")
_BITMAP = {"Bitmap Heap Scan", "Bitmap Index Scan"}
_POSTGRES_WORK = {"Seq Scan", "Sort", "Incremental Sort", "Hash", "Materialize", *_BITMAP}


def _list_index(name: str, reach: Reach) -> str:
    """Return what SQLite's plan of a list begins with: the table in the list's order, and its range."""
    by = "created_at" if name.startswith("created") else "activity_at"
    table = "threads" if by == "created_at" else "thread_activity"
    if "a pair" in name and reach.owner is None:
        table = "thread_metadata"
    is_bounded = "all" not in name or "after" in name or "before" in name
    return rf"SEARCH {table} USING .*(INDEX|PRIMARY KEY).*\(project_id=\?.*" + (rf"{by}[<>]\?" if is_bounded else "")


def _has_both_kinds(name: str, reach: Reach) -> bool:
    """Say whether a list is of a pair by activity, whose rows may be in that order or not."""
    return name.startswith("active, a pair") and reach is ALL


def _rows_touched(plan: Plan) -> float:
    """Count what the scans found and what they threw away."""
    return sum(rows_seen(node) for node in nodes(plan) if "Scan" in node["Node Type"])
