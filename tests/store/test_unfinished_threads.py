"""A thread that is not whole is for every read as if it had never been, whoever knows its id."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import update

from gateway.domain.idempotency import Kind
from gateway.domain.ids import new_id, new_message_id, new_thread_id
from gateway.domain.page import Order, PageRead, PageRequest
from gateway.domain.principal import Reach
from gateway.domain.run import Run
from gateway.domain.thread_list import ALL, LAST_READ, SOURCE, Beside, MetadataMatch, OrderBy, Selection, ThreadFilter
from gateway.errors import NotFound
from gateway.store.runs import RunReads
from gateway.store.schema import tables
from tests.isolation.world import Names, make_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.sql.dml import ReturningUpdate

    from gateway.core import Store
    from gateway.store.runs import RunWrites

    Call = Callable[[RunReads, Reach, Names], Awaitable[Any]]

PAGE: Final = PageRequest(limit=9)
SELECTIONS: Final = (
    ALL,
    Selection(by=OrderBy.ACTIVITY),
    Selection(only=ThreadFilter(has_owner=True)),
    Selection(only=ThreadFilter(owner="alice")),
    Selection(only=ThreadFilter((MetadataMatch("a", ("b",)),))),
    Selection(by=OrderBy.ACTIVITY, only=ThreadFilter((MetadataMatch("a", ("b",)),))),
    Selection(by=OrderBy.ACTIVITY, only=ThreadFilter((MetadataMatch("c", is_missing=True),), owner="alice")),
    Selection(only=ThreadFilter(unread=True, reader="somebody")),
)
BESIDE: Final = Beside(PageRead((), PageRequest(limit=1)), "somebody", 9)
SIDES: Final = (True, False)
KINDS: Final = (Kind.THREAD, Kind.MESSAGE, Kind.RUN)
FIRST: Final = 1 << 50


async def all_of(*calls: Awaitable[Any]) -> list[Any]:
    return [await outcome(each) for each in calls]


async def outcome(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except NotFound as error:
        return error


async def run_again(reads: RunReads, reach: Reach, names: Names) -> object:
    known = Run(**{**dict.fromkeys(Run._fields), "id": names.run, "settings_json": "{}"})  # type: ignore[arg-type]
    return await reads.get_run_again(reach, known)


CALLS: Final[dict[str, Call]] = {
    "any_thread_from": lambda r, of, n: all_of(
        *(r.any_thread_from(of, n.thread, up=up, selected=each) for up in SIDES for each in SELECTIONS[:1])
    ),
    "count_owned": lambda r, of, _: r.count_owned(Reach(of.project_id, owner="alice")),
    "count_threads": lambda r, of, _: all_of(*(r.count_threads(of, each) for each in SELECTIONS)),
    "deltas_after": lambda r, of, n: r.deltas_after(of, n.growing, 0),
    "find_end": lambda r, of, n: r.find_end(of, n.thread, "somebody"),
    "get_messages": lambda r, of, n: r.get_messages(of, [n.message, n.growing]),
    "get_rows": lambda r, of, n: all_of(*(r.get_rows(of, [each]) for each in (n.message, n.growing))),
    "get_run": lambda r, of, n: r.get_run(of, n.run),
    "get_run_again": run_again,
    "get_runs": lambda r, of, n: r.get_runs(of, [n.run]),
    "get_threads": lambda r, of, n: r.get_threads(of, [n.thread]),
    "has_files": lambda r, of, n: r.has_files(of, n.thread),
    "has_place_among_threads": lambda r, of, n: r.has_place_among_threads(of, n.thread),
    "list_beside": lambda r, of, n: r.list_beside(of, [n.thread], BESIDE._replace(also=(SOURCE, LAST_READ))),
    "list_changes": lambda r, of, n: r.list_changes(of, n.thread, 0, 9),
    "list_key_records": lambda r, of, n: all_of(*(r.list_key_records(of, n.thread, kind, 0) for kind in KINDS)),
    "list_messages_after": lambda r, of, n: r.list_messages_after(of, n.thread, 0, 9),
    "list_pages": lambda r, of, n: all_of(
        r.list_pages(of, PageRead([n.thread], PAGE)),
        r.list_pages(of, PageRead([n.thread], PAGE, with_thread=True)),
        r.list_pages(of, PageRead([n.thread], PAGE, n.run)),
        r.list_pages(of, PageRead([n.thread, new_thread_id()], PAGE)),
        r.list_pages(of, PageRead([n.thread], PageRequest(9, Order.ASC, after=n.message))),
        r.list_pages(of, PageRead([n.thread], PageRequest(9, Order.DESC, after=n.message), with_edges=True)),
    ),
    "list_runs": lambda r, of, n: r.list_runs(of, n.thread, PAGE),
    "list_runs_of_each": lambda r, of, n: r.list_runs_of_each(of, [n.thread], PAGE),
    "list_threads": lambda r, of, _: all_of(
        *(r.list_threads(of, PAGE, each, beside) for each in SELECTIONS for beside in (Beside(), BESIDE))
    ),
    "overdue_threads": lambda r, of, _: r.overdue_threads(of, FIRST, 9),
    "span_of": lambda r, of, n: r.span_of(of, n.thread),
    "token_epochs": lambda r, of, n: r.token_epochs(of, [n.thread]),
    "token_standing": lambda r, of, n: r.token_standing(of, n.thread, "key"),
    "due_runs": lambda r, _of, _: r.due_runs(9),
}
# What shows nothing of a thread, or is for those who fill it.
OTHERS: Final = {
    **dict.fromkeys(
        ("any_message_from", "any_run_from", "count_messages_of_run", "count_until", "has_place_in_thread", "has_run"),
        "of a thread that was found before",
    ),
    "position_of": "the same",
    **dict.fromkeys(("has_step", "list_steps", "steps_of", "steps_of_each"), "of a run that was found before"),
    "last_positions": "of threads that are followed",
    "changed_owners": "what wakes followers, who then read",
    "changed_projects": "the same",
    "list_thread_changes": "tests/core/test_filling.py",
    **dict.fromkeys(
        ("list_authored", "list_payers", "list_marked", "list_scopes", "some_threads"),
        "an erasure takes what is not whole, too",
    ),
    "list_abandoned": "what is removed",
    "known_messages": "ids that an import cannot take",
    **dict.fromkeys(("has_project", "list_projects", "next_project"), "a project has things of other kinds, too"),
    "later_epochs": "of a thread for which there is a token",
    **dict.fromkeys(("any_key", "find_created", "find_key", "get_keys", "list_keys"), "of keys, not of threads"),
    **dict.fromkeys(("any_assistant_from", "get_assistants", "has_assistant", "list_assistants"), "of no thread"),
    **dict.fromkeys(
        ("current_snapshot", "data_version", "erased_number", "is_migrated", "read_epoch"), "of the database"
    ),
}


def test_every_read_is_in_the_table() -> None:
    reads = {name for name, _ in inspect.getmembers(RunReads, inspect.iscoroutinefunction) if not name.startswith("_")}

    assert reads == {*CALLS, *OTHERS}


async def test_no_read_finds_a_thread_that_is_not_whole(store: Store) -> None:
    of = Reach("default")
    await make_names(store, of)
    never = Names(new_thread_id(), new_message_id(), new_message_id(), new_id("run"), new_id("step"))
    before = {reach: await told(store, reach, never) for reach in (of, Reach("default", "alice"))}

    unfinished = await make_names(store, Reach("default", owner="alice"))
    await begin_again(store, unfinished)

    for reach, expected in before.items():
        found = await told(store, reach, unfinished)
        assert {name: said for name, said in found.items() if said != expected[name]} == {}, reach


async def told(store: Store, reach: Reach, names: Names) -> dict[str, str]:
    """Write down what each read says, without the names."""
    found: dict[str, str] = {}
    async with store.read() as reads:
        for name, call in CALLS.items():
            said = repr(await outcome(call(reads, reach, names)))
            for place, each in vars(names).items():
                said = said.replace(each, place)
            found[name] = said
    return found


async def begin_again(store: Store, names: Names) -> None:
    """Let a thread be one that is being filled, or was deleted and has not gone yet."""

    async def work(transaction: RunWrites) -> None:
        await transaction._rows(_begin_filling, names.thread)  # noqa: SLF001

    await store.write(work)


def _begin_filling(thread_id: str) -> ReturningUpdate[Any]:
    own = update(tables.threads).where(tables.threads.c.id == thread_id)
    return own.values(filling=1).returning(tables.threads.c.id)
