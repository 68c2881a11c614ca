"""Runs and what becomes of their threads: forked, deleted, erased, overdue, or with a lock that nothing holds."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update

from gateway.core import erasing, retention, threads
from gateway.core.clock import now_ms
from gateway.domain.principal import Principal, Reach, Scope
from gateway.errors import NotFound
from gateway.runs.answering import Paced
from gateway.store.engines.open import open_engines
from gateway.store.runs import RunWrites
from gateway.store.schema import tables
from tests.faces import GraphQL
from tests.rest.calls import add, new_thread
from tests.runs.calls import ask, create, poll, texts, until_begun
from tests.runs.scripted import Scripted, calls, says

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store

OPERATOR = Principal(Reach("default"), frozenset({Scope.ERASE}))
HOUR_MS = 3_600_000
OF_THREADS = (tables.threads, tables.messages, tables.message_deltas, tables.runs, tables.run_steps, tables.read_marks)


async def execute(database_url: str, statement: Any) -> Any:
    engines = open_engines(database_url)
    try:
        async with engines.writer.begin() as connection:
            found = await connection.execute(statement)
            return found.scalar() if found.returns_rows else None
    finally:
        await engines.dispose()


async def rows(database_url: str) -> dict[str, int]:
    """Count the rows of what belongs to threads."""
    return {each.name: await execute(database_url, select(func.count()).select_from(each)) for each in OF_THREADS}


async def begun(rest: httpx.AsyncClient, models: Scripted, **thread: Any) -> tuple[Any, asyncio.Event]:
    """Let a run write its first text, and wait for the event."""
    held = asyncio.Event()
    models.any_assistant = True
    models.scripts.append([says("Hal")[0], held, *says("lo")])
    made = await new_thread(rest, **thread)
    run = await create(rest, made["id"], "asst_any")
    await until_begun(rest, made["id"])
    return run, held


async def until_idle(rest: httpx.AsyncClient) -> None:
    """Let the worker come to the end of all that it answers: a run that is created then is answered too."""
    await ask(rest, (await new_thread(rest))["id"], "asst_any")


@pytest.mark.parametrize("how", ["erase", "delete"])
async def test_a_run_in_progress_ends_with_its_thread_and_leaves_nothing(
    rest: httpx.AsyncClient, store: Store, models: Scripted, database_url: str, how: str
) -> None:
    await rest.post("/assistants", json={"model": "m"})
    run, held = await begun(rest, models, owner="alice")
    if how == "erase":
        await add(rest, (await new_thread(rest, owner="alice"))["id"])

        erased = await erasing.erase(store, OPERATOR, "alice")
        assert erased == (2, 2)
    else:
        await rest.delete(f"/threads/{run['thread_id']}")
    after = await rows(database_url)
    held.set()
    await until_idle(rest)

    assert after == dict.fromkeys(after, 0)
    assert (await rows(database_url))["threads"] == 1
    assert (await rows(database_url))["runs"] == 1
    assert len((await rest.get("/assistants")).json()["data"]) == 1


async def test_a_thread_that_is_deleted_as_its_answer_begins_is_no_error(
    rest: httpx.AsyncClient, models: Scripted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def add_message(*_: object) -> None:  # PostgreSQL sees the deletion between two statements
        raise NotFound("thread", "thread_gone")

    models.any_assistant = True
    models.scripts.append(says("Hello"))
    monkeypatch.setattr(RunWrites, "add_message_of_run", add_message)
    run = await create(rest, (await new_thread(rest))["id"], "asst_any")
    await poll(rest, run)

    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_a_write_that_fails_as_its_answer_is_closed_is_retrieved() -> None:
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))

    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # what it waited for has failed at this moment
            raise NotFound("thread", "thread_gone") from None

    async def ask_and_close() -> None:
        pace = Paced(fail, lambda: 0.0)
        pace.ask()
        await asyncio.sleep(0)
        await pace.close()

    await ask_and_close()
    gc.collect()

    assert seen == []


async def test_retention_leaves_a_thread_that_is_being_answered(
    rest: httpx.AsyncClient, store: Store, models: Scripted
) -> None:
    run, held = await begun(rest, models)
    await new_thread(rest)

    deleted = await retention.delete_overdue(store, now_ms() + HOUR_MS)
    held.set()
    ended = await poll(rest, run)
    later = await retention.delete_overdue(store, now_ms() + HOUR_MS)

    assert (deleted, ended["status"], later) == (1, "completed", 1)


async def test_retention_deletes_a_thread_whose_run_is_past_its_time(
    rest: httpx.AsyncClient, store: Store, models: Scripted, database_url: str
) -> None:
    models.any_assistant = True
    models.scripts.append(calls(("weather", "{}")))
    await ask(rest, (await new_thread(rest))["id"], "asst_any")
    await execute(database_url, update(tables.runs).values(expires_at=5, due_at=None))

    assert await retention.delete_overdue(store, now_ms() + HOUR_MS) == 1
    assert await threads.count(store, Principal(Reach("default"))) == 0


@pytest.mark.parametrize("by_run", [True, False])
async def test_a_lock_without_its_run_locks_nobody_out(
    rest: httpx.AsyncClient, models: Scripted, database_url: str, *, by_run: bool
) -> None:
    models.any_assistant = True
    thread_id = (await new_thread(rest))["id"]
    await execute(database_url, update(tables.threads).values(active_run="run_gone"))

    if by_run:
        done = await ask(rest, thread_id, "asst_any")
        assert done["status"] == "completed"
    else:
        await add(rest, thread_id)
    assert await execute(database_url, select(tables.threads.c.active_run)) is None


async def test_a_fork_copies_messages_and_names_their_runs_but_has_none_of_them(
    rest: httpx.AsyncClient, models: Scripted
) -> None:
    models.any_assistant = True
    source = (await new_thread(rest))["id"]
    done = await ask(rest, source, "asst_any")

    fork = (await rest.post(f"/threads/{source}/fork")).json()["id"]

    listed = (await rest.get(f"/threads/{fork}/messages", params={"run_id": done["id"]})).json()["data"]
    path = f"/threads/{fork}/runs"
    assert [(each["run_id"], each["assistant_id"]) for each in listed] == [(done["id"], "asst_any")]
    assert (await rest.get(path)).json()["data"] == []
    for each in ("", "/steps", "/steps/step_a"):
        missing = await rest.get(f"{path}/{done['id']}{each}")
        assert (missing.status_code, missing.json()["error"]["message"]) == (
            404,
            f"No run found with id '{done['id']}'.",
        )
    shown = await GraphQL(rest)("query($id: ID!) { thread(id: $id) { runs(first: 5) { nodes { id } } } }", id=fork)
    assert shown == {"thread": {"runs": {"nodes": []}}}


async def test_a_fork_of_a_thread_that_is_being_answered_is_free_and_has_the_half_answer(
    rest: httpx.AsyncClient, models: Scripted
) -> None:
    run, held = await begun(rest, models)

    fork = (await rest.post(f"/threads/{run['thread_id']}/fork")).json()["id"]
    answer = await ask(rest, fork, "asst_any")
    held.set()
    await poll(rest, run)

    assert answer["status"] == "completed"
    assert (await texts(rest, fork))[0] == ("assistant", "incomplete", "Hal")
    assert (await texts(rest, run["thread_id"])) == [("assistant", "completed", "Hallo")]
