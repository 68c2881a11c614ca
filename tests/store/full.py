"""A database with enough rows that a planner would scan a table if it could."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from gateway.domain.page import Order, PageRequest
from gateway.domain.principal import Reach
from gateway.domain.thread_list import MetadataMatch, OrderBy, ThreadFilter
from gateway.domain.wire import dump_text
from gateway.store.schema import tables
from gateway.store.statements import importing, messages, selected_threads, threads
from tests.make import SOME_SECOND

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement
    from sqlalchemy.ext.asyncio import AsyncConnection

PROJECT = "default"
ALL, OWN = Reach(PROJECT), Reach(PROJECT, owner="somebody")
SMALL, LARGE, GAPPED = "thread_small", "thread_large", "thread_gapped"
SIZES = {SMALL: 300, LARGE: 3_000, GAPPED: 4_000}
_NEWEST_DELETED = 1_000
_GONE = 10_000  # before the positions of others that are deleted
_OTHERS = 2_000
FEW = 6  # at most, of what `selecting_few` finds threads by


async def fill(connection: AsyncConnection) -> None:
    """Fill a migrated, empty database."""
    others = [f"thread_other{n}" for n in range(_OTHERS)]
    await connection.execute(insert(tables.threads), [_thread(n, each) for n, each in enumerate([*SIZES, *others])])
    for thread_id, size in SIZES.items():
        await connection.execute(insert(tables.messages), [_message(thread_id, n) for n in range(1, size + 1)])
    await connection.execute(insert(tables.messages), [_message(each, 1) for each in others])
    await connection.execute(insert(tables.message_deltas), [_delta(each) for each in others])
    newest = (tables.messages.c.thread_id == GAPPED, tables.messages.c.position > SIZES[GAPPED] - _NEWEST_DELETED)
    kept = tables.messages.c
    columns = (kept.project_id, kept.id, kept.thread_id, kept.position)
    # Before PostgreSQL 17 an index costs more, and a table of the newest alone would be scanned.
    others_too = (kept.project_id, "gone_" + kept.id, kept.thread_id, _GONE + kept.position)
    for deleted in (select(*columns).where(*newest), select(*others_too)):
        added = insert(tables.deleted_messages).from_select([column.name for column in columns], deleted)
        await connection.execute(added)
    await connection.execute(delete(tables.messages).where(*newest))
    await connection.execute(
        insert(tables.deleted_threads),
        [
            {"project_id": PROJECT, "id": f"thread_gone{n}", "created_at": 1, "seq": -n, "owner": OWN.owner}
            for n in range(_OTHERS)
        ],
    )


def paging_and_looking_up(thread_id: str, reach: Reach = ALL) -> dict[str, ClauseElement]:
    """Name every statement of a reader, with the arguments for one thread; cursors are in its middle."""
    middle, near = f"msg_{thread_id}_150", f"msg_{thread_id}_160"
    # SMALL, LARGE and GAPPED have the same number of rows before them in the list, except for 0, 1 and 2.
    asked = {
        "newest": PageRequest(20),
        "oldest": PageRequest(20, Order.ASC),
        "after": PageRequest(20, Order.ASC, after=middle),
        "before": PageRequest(20, Order.ASC, before=middle, from_end=True),
        "between": PageRequest(20, Order.DESC, after=near, before=middle),
    }
    found: dict[str, ClauseElement] = {}
    for name, page in asked.items():
        found[f"list_messages {name}"] = messages.list_messages(reach, thread_id, page)
        found[f"list_messages {name} of a run"] = messages.list_messages(reach, thread_id, page, "run_a")
    for up in (True, False):
        found[f"any_message_from {up=}"] = messages.any_message_from(reach, thread_id, middle, None, up)
        found[f"any_message_from {up=} of a run"] = messages.any_message_from(reach, thread_id, middle, "run_a", up)
    return found | {
        "has_place_in_thread": messages.has_place_in_thread(reach, thread_id, middle),
        "get_messages": messages.get_messages(reach, [middle, near]),
        "get_threads": threads.get_threads(reach, [thread_id]),
        "known_messages": messages.known_messages(reach, dump_text([middle, near])),
    }


def paging_threads(reach: Reach = ALL) -> dict[str, ClauseElement]:
    """Name every statement on the list of threads."""
    middle, gone, everything = "thread_other900", "thread_gone700", ThreadFilter().values
    asked = {
        "newest": PageRequest(20),
        "oldest": PageRequest(20, Order.ASC),
        "after": PageRequest(20, Order.DESC, after=middle),
        "before": PageRequest(20, Order.DESC, before=middle, from_end=True),
        "after a deleted one": PageRequest(20, Order.ASC, after=gone),
        "between": PageRequest(20, Order.ASC, after=gone, before=middle),
    }
    found: dict[str, ClauseElement] = {
        f"list_threads {name}": selected_threads.list_created(reach, page, everything) for name, page in asked.items()
    }
    for order in Order:
        past = PageRequest(0, order, after=middle)
        found[f"any_thread_from {order=}"] = selected_threads.list_created(reach, past, everything, inclusive=True)
    return found | {
        "has_place_among_threads": threads.has_place_among_threads(reach, gone),
        "deleted_threads_of": importing.deleted_threads_of(reach, dump_text([gone])),
        "count_messages_of_run": messages.count_messages_of_run(reach, SMALL, "run_a"),
    }


def selecting_threads(reach: Reach = ALL) -> dict[str, ClauseElement]:
    """Name every statement on filtered lists of threads and on those by activity."""
    pair, either, any_value = (MetadataMatch("a", values) for values in (("b",), ("b", "c"), None))
    long_ago, late = 1_000, 2_000 * SOME_SECOND
    filters = {
        "all": ThreadFilter(),
        "filtered": ThreadFilter(has_owner=True),
        "a pair": ThreadFilter((pair,)),
        "a pair and times": ThreadFilter((pair,), created_after=long_ago, active_before=late),
        "times": ThreadFilter(created_after=long_ago, created_before=late, active_after=long_ago, active_before=late),
        "one of two": ThreadFilter((either,)),
        "a pair and another": ThreadFilter((any_value, pair)),
    }
    builders = {"created": selected_threads.list_created, "active": selected_threads.list_active}
    middle, at = "thread_other900", 1_000 * SOME_SECOND
    asked = {
        "newest": (PageRequest(20), {}),
        "oldest": (PageRequest(20, Order.ASC), {}),
        "after": (PageRequest(20, after=middle), {"after_at": at}),
        "before": (PageRequest(20, before=middle, from_end=True), {"before_at": at}),
    }
    return {
        f"{by}, {only}, {name}": build(reach, page, given.values | times)
        for by, build in builders.items()
        for only, given in filters.items()
        for name, (page, times) in asked.items()
    }


def selecting_few() -> dict[str, ClauseElement]:
    """Name every statement on threads that are found by a condition that few fulfil."""
    often, once = MetadataMatch("a", ("b",)), MetadataMatch("n", ("5", "6"))
    second = 1_000 * SOME_SECOND
    filters = {
        "one of two": ThreadFilter((once,)),
        "a pair and one of two": ThreadFilter((often, once), has_owner=True),
        "a key": ThreadFilter((MetadataMatch("rare"),)),
        "created": ThreadFilter(created_after=second, created_before=second + 2_000),
        "active": ThreadFilter(active_before=second),  # none
    }
    asked = {"newest": (PageRequest(20), {}), "after": (PageRequest(20, after="thread_other900"), {"after_at": second})}
    found: dict[str, ClauseElement] = {}
    for only, given in filters.items():
        orders = {"created": OrderBy.CREATED, "active": OrderBy.ACTIVITY}
        for by in orders.keys() - {only}:
            few = given.narrowing(orders[by])[-1]
            found[f"count, {only}"] = selected_threads.count_filtered(ALL, given.values | few)
            found[f"count some, {only}"] = selected_threads.count_some(ALL, few, 9)
            for name, (page, times) in asked.items():
                build = {"created": selected_threads.list_created, "active": selected_threads.list_active}[by]
                found[f"{by}, {only}, {name}"] = build(ALL, page, given.values | few | times)
    return found


def _thread(n: int, thread_id: str) -> dict[str, Any]:
    size = SIZES.get(thread_id, 1)
    return {
        "project_id": PROJECT,
        "id": thread_id,
        "created_at": SOME_SECOND + n // 3,
        # A pair of all, one of each, and one of three.
        "metadata": dump_text({"a": "b", "n": str(n)} | ({"rare": "b"} if n % 700 == 5 else {})),
        "tool_resources": "{}",
        "message_count": size,
        "last_position": size,
        "last_created_at": SOME_SECOND,
        "owner": OWN.owner,
    }


def _delta(thread_id: str) -> dict[str, Any]:
    of_message = {"project_id": PROJECT, "thread_id": thread_id, "message_id": f"msg_{thread_id}_1"}
    return {**of_message, "position": 2, "number": 1, "part_index": 0, "start": 0, "text": "piece"}


def _message(thread_id: str, position: int) -> dict[str, Any]:
    return {
        "project_id": PROJECT,
        "thread_id": thread_id,
        "position": position,
        "id": f"msg_{thread_id}_{position}",
        "created_at": SOME_SECOND,
        "role": "user",
        "status": "completed",
        "content": "[]",
        "attachments": "[]",
        "metadata": "{}",
        "run_id": "run_a" if position % 3 else None,
    }
