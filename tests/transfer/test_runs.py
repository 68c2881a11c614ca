"""Runs, their steps and assistants in exports and imports: what was is what comes back, and nobody goes on with it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from gateway.app import serve_store
from gateway.core import run_leases
from gateway.domain.principal import Principal, Reach
from gateway.graphql.options import Options
from gateway.runs.service import Answering
from gateway.store.store import Store, open_store
from gateway.transfer.exporter import export
from tests.exports import a_message, a_run, a_step, a_thread, an_export, give, held, lines, run, take
from tests.faces import GraphQL
from tests.pace import patience
from tests.rest.calls import new_thread
from tests.runs.calls import ask, create, poll
from tests.runs.conftest import lifespan_of
from tests.runs.scripted import Scripted, calls, says

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


WHO = Principal(Reach("default"))
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
RUNS = """{
  assistants(first: 5) { nodes { id name description model instructions tools metadata createdAt } }
  threads(first: 5) { nodes { id
    messages(first: 9) { nodes { id status text completedAt incompleteAt incompleteReason } }
    runs(first: 5) { nodes {
      id threadId assistantId status createdAt startedAt cancelledAt failedAt completedAt expiresAt metadata model
      toolCalls { id } lastError { code message } incompleteReason usage { promptTokens completionTokens totalTokens }
      steps { id createdAt status messageId toolCalls { id name arguments output } }
} } } } }"""


@asynccontextmanager
async def served(store: Store, models: Scripted | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a store in this process; its worker looks for runs that nobody answers."""
    app = serve_store(store, Options(timeout_s=60), answering=Answering(models or Scripted()))
    async with (
        lifespan_of(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway/v1") as client,
    ):
        yield client


async def data_of(rest: httpx.AsyncClient, path: str) -> list[Any]:
    answer = await rest.get(path, params={"limit": 100, "order": "asc"})
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["data"]
    return found


async def seen(rest: httpx.AsyncClient) -> Any:
    """Read everything through both faces."""
    threads = []
    for thread in await data_of(rest, "/threads"):
        runs = await data_of(rest, path := f"/threads/{thread['id']}/runs")
        steps = [await data_of(rest, f"{path}/{each['id']}/steps") for each in runs]
        threads.append((thread, await data_of(rest, f"/threads/{thread['id']}/messages"), runs, steps))
    return await data_of(rest, "/assistants"), threads, await GraphQL(rest)(RUNS)


async def exported(store: Store, who: Principal = WHO) -> bytes:
    out = BytesIO()
    await export(store, who, out, lambda _amount: None)
    return out.getvalue()


async def answered(rest: httpx.AsyncClient, models: Scripted) -> None:
    """Make assistants, and runs that end in several ways."""
    made = [
        (await rest.post("/assistants", json={"model": "m", "name": f"{n}", "tools": [FUNCTION]})).json()["id"]
        for n in range(3)
    ]
    thread = (await new_thread(rest))["id"]
    await ask(rest, thread, made[0], metadata={"a": "1"}, temperature=0.5)
    models.scripts.append(calls(("weather", "{}")))
    waiting = await ask(rest, thread, made[1])
    outputs = [{"tool_call_id": each["id"], "output": "4"} for each in calls_of(waiting)]
    path = f"/threads/{thread}/runs/{waiting['id']}/submit_tool_outputs"
    await poll(rest, (await rest.post(path, json={"tool_outputs": outputs})).json())
    models.scripts.append(calls(("weather", "{}")))
    cancelled = await ask(rest, thread, made[2])
    await poll(rest, (await rest.post(f"/threads/{thread}/runs/{cancelled['id']}/cancel")).json())
    await ask(rest, (await new_thread(rest))["id"], "asst_gone" if models.any_assistant else made[0])


def calls_of(waiting: Any) -> list[Any]:
    found: list[Any] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    return found


async def test_both_faces_show_the_same_before_an_export_and_after_its_import(
    store: Store, database_url: str, new_sqlite_url: Callable[[], str]
) -> None:
    models, source = Scripted(), open_store(new_sqlite_url())
    async with served(source, models) as rest:
        await answered(rest, models)
        before = await seen(rest)
    file = await exported(source)
    await source.close()

    done = await asyncio.to_thread(run, "import", "--database-url", database_url, given=file)
    async with served(store) as rest:
        after = await seen(rest)

    assert (
        done.stderr == "Threads: 2, messages: 7, runs: 4, steps: 5, assistants: 3, already present: 0, rejected: 0.\n"
    )
    assert after == before
    assert await exported(store) == file


async def test_an_export_that_is_imported_again_changes_nothing(store: Store, database_url: str) -> None:
    models = Scripted()
    async with served(store, models) as rest:
        await answered(rest, models)
        before = await seen(rest)
    file = await exported(store)

    done = await asyncio.to_thread(run, "import", "--database-url", database_url, given=file)
    other = await asyncio.to_thread(run, "import", "--project", "b", "--database-url", database_url, given=file)

    assert done.stderr == "Threads: 0, messages: 0, already present: 21, rejected: 0.\n"
    async with served(store) as rest:
        assert await seen(rest) == before
    assert (other.exit_code, await exported(store, Principal(Reach("b")))) == (0, file)


async def test_a_run_that_had_not_ended_comes_in_as_expired_and_locks_nothing(
    store: Store, database_url: str, new_sqlite_url: Callable[[], str]
) -> None:
    held = asyncio.Event()
    models, source = Scripted([[*says("Hal")[:1], held]]), open_store(new_sqlite_url())
    async with served(source, models) as rest:
        assistant = (await rest.post("/assistants", json={"model": "m"})).json()["id"]
        writing = await ask_until_text(rest, assistant)
        models.scripts.append(calls(("weather", "{}")))
        waiting = await ask(rest, (await new_thread(rest))["id"], assistant)
        file = await exported(source)
        held.set()
    await source.close()

    done = await asyncio.to_thread(run, "import", "--database-url", database_url, given=file)
    due = await run_leases.due(store, 10)
    async with served(store) as rest:
        found = await seen(rest)
        again = await ask(rest, waiting["thread_id"], assistant)

    assert (done.exit_code, due, again["status"]) == (0, [], "completed")
    runs = [each for _, _, of_thread, _ in found[1] for each in of_thread]
    assert [(each["id"], each["status"], each["required_action"], each["expires_at"]) for each in runs] == [
        (writing["id"], "expired", None, None),
        (waiting["id"], "expired", None, None),
    ]
    assert {step["status"] for _, _, _, steps in found[1] for [step] in steps} == {"expired"}
    [_, half] = found[1][0][1]
    assert (half["status"], half["incomplete_details"]) == ("incomplete", {"reason": "run_expired"})


async def ask_until_text(rest: httpx.AsyncClient, assistant: str) -> Any:
    """Begin a run, and wait for the first text of its answer."""
    thread = (await new_thread(rest, messages=[{"role": "user", "content": "Hi"}]))["id"]
    made = await create(rest, thread, assistant)
    async with asyncio.timeout(patience(20)):
        while len(await data_of(rest, f"/threads/{thread}/messages")) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return made


async def test_an_end_users_export_has_runs_but_no_assistants(store: Store) -> None:
    models = Scripted()
    async with served(store, models) as rest:
        await answered(rest, models)
        thread = (await new_thread(rest, owner="alice"))["id"]
        models.any_assistant = True
        asked = await ask(rest, thread, "asst_any")

    told = [orjson.loads(line) for line in (await exported(store, Principal(Reach("default", "alice")))).splitlines()]

    assert [each["object"] for each in told] == ["thread", *["thread.message"] * 2, "thread.run", "thread.run.step"]
    assert [told[3]["id"], told[4]["run_id"]] == [asked["id"]] * 2


CREATION = {"type": "message_creation", "message_creation": {"message_id": "msg_a"}}
CODE = {
    "type": "tool_calls",
    "tool_calls": [{"id": "call_1", "type": "code_interpreter", "code_interpreter": {"input": "1", "outputs": []}}],
}


async def test_runs_of_the_original_service_keep_what_they_had(store: Store, database_url: str) -> None:
    old = a_run(incomplete_details={"reason": "max_completion_tokens"}, status="incomplete", temperature=None)
    coding = a_step("step_b", type="tool_calls", step_details=CODE, usage=None)
    failed = a_run("run_b", status="failed", last_error={"code": "server_error", "message": "Sorry"})

    await asyncio.to_thread(take, database_url, a_thread(), a_message(run_id="run_a"), old, a_step(), coding, failed)
    async with served(store) as rest:
        runs = await data_of(rest, "/threads/thread_a/runs")
        steps = await data_of(rest, "/threads/thread_a/runs/run_a/steps")
        shown = (await GraphQL(rest)(RUNS))["threads"]["nodes"][0]["runs"]["nodes"]

    for got, given in zip([*runs, *steps], [old, failed, a_step(), coding], strict=True):
        assert got | {name: each for name, each in given.items() if name != "file_ids"} == got
    assert (runs[0]["tool_choice"], runs[0]["temperature"], runs[0]["top_p"]) == ("auto", None, None)
    assert [each["usage"] for each in shown] == [None, None]
    assert shown[1]["steps"][1]["toolCalls"] == [
        {"id": "call_1", "name": "code_interpreter", "arguments": '{"input":"1","outputs":[]}', "output": None}
    ]


def test_runs_and_steps_in_any_order_of_files_belong_to_their_thread(sqlite_url: str) -> None:
    page = {"object": "list", "data": [a_run("run_2"), a_run("run_1")], "has_more": False}
    steps = {"object": "list", "data": [a_step("step_2", "run_1"), a_step("step_1", "run_1")], "has_more": False}

    take(sqlite_url, steps, page, a_thread(), a_message())

    ids = held(sqlite_url)
    assert ids == ["thread_a", "msg_a", "run_1", "step_1", "step_2", "run_2"]


@pytest.mark.parametrize("indent", [None, orjson.OPT_INDENT_2])
def test_an_export_of_a_thread_has_runs_with_their_steps(sqlite_url: str, tmp_path: Path, indent: int | None) -> None:
    runs = [
        {**a_run("run_1"), "steps": [a_step("step_1", "run_1")]},
        {"note": "no run"},
        a_run("run_2", created_at=2**31),
    ]
    whole = orjson.loads(an_export(a_thread(), a_message(), runs=runs))
    file = tmp_path / "thread_a.json"
    file.write_bytes(orjson.dumps(whole, option=indent))

    done = run("import", str(file), "--database-url", sqlite_url)

    assert done.stderr == "Threads: 1, messages: 1, runs: 2, steps: 1, already present: 0, rejected: 0.\n"
    ids = held(sqlite_url)
    assert ids == ["thread_a", "msg_a", "run_1", "step_1", "run_2"]


def test_runs_are_imported_after_their_thread_and_steps_after_their_run(sqlite_url: str) -> None:
    for given in (a_thread(), a_message()), (a_run("run_2"),), (a_run("run_1"), a_step()), (a_step("step_b", "run_2"),):
        run("import", "--database-url", sqlite_url, given=lines(given))
    take(sqlite_url, a_run(), a_step())

    ids = held(sqlite_url)

    assert ids == ["thread_a", "msg_a", "run_2", "step_b", "run_1", "run_a", "step_a"]


def test_a_thread_of_which_there_are_runs_alone_is_inferred(sqlite_url: str) -> None:
    take(sqlite_url, a_run(created_at=5))

    thread, *_ = map(orjson.loads, give(sqlite_url).splitlines())

    assert (thread["id"], thread["created_at"]) == ("thread_a", 5)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(a_step(), "'thread_a' has no run 'run_a': import that first, or with its steps.", id="no run"),
        pytest.param(a_run("run_known"), "'run_known' belongs to 'thread_b' already.", id="of another thread"),
        pytest.param(a_step("step_known", "run_mine"), "'step_known' belongs to 'run_known' already.", id="its step"),
        pytest.param(a_run(odd=1), "Unknown parameter: 'odd'.", id="unknown field"),
        pytest.param(
            a_run(usage={"prompt_tokens": 1}), "Missing required parameter: 'usage.completion_tokens'.", id="u"
        ),
        pytest.param(a_run(status="done"), "Invalid value: 'done'. Supported values are: ", id="status"),
        pytest.param(
            a_run(tools=["x"]), "Invalid type for 'tools[0]': expected an object, but got a string", id="tool"
        ),
        pytest.param(a_run(assistant_id=None), "Invalid type for 'assistant_id': expected a string", id="assistant"),
        pytest.param(a_run(model=5), "Invalid type for 'model': expected a string, but got an integer", id="model"),
        pytest.param(a_run(last_error="x"), "Invalid type for 'last_error': expected an object", id="error"),
        pytest.param(
            a_step(step_details={"type": "tool_calls"}), "Missing required parameter: 'step_details.me", id="d"
        ),
        pytest.param(a_step(run_id="r"), "Invalid 'run_id': 'r'. Expected 'run_' and up to 120 of", id="run id"),
    ],
)
def test_a_run_that_cannot_be_imported_is_refused_by_itself(
    database_url: str, tmp_path: Path, given: Any, reason: str
) -> None:
    take(database_url, a_thread("thread_b"), a_run("run_known", "thread_b"))
    take(database_url, a_step("step_known", "run_known", thread_id="thread_b"))
    rejects = tmp_path / "rejects"

    done = run(
        *("import", "--rejects", str(rejects), "--database-url", database_url),
        given=lines([a_thread(), a_message(), a_run("run_mine"), given]),
    )

    told, summary = done.stderr.splitlines()
    assert (done.exit_code, told[:11]) == (1, "-: line 4: ")
    assert reason in told
    assert summary == "Threads: 1, messages: 1, runs: 1, already present: 0, rejected: 1."
    assert orjson.loads(rejects.read_bytes()) == given


def test_runs_of_a_rejected_thread_are_among_its_rejected_lines(sqlite_url: str, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects"
    given = [a_thread(), a_message(content="no"), a_run(), a_step()]

    done = run("import", "--rejects", str(rejects), "--database-url", sqlite_url, given=lines(given))

    assert (done.exit_code, give(sqlite_url)) == (1, b"")
    assert [orjson.loads(line) for line in rejects.read_bytes().splitlines()] == given
    assert "thread_a: none of its 4 lines was imported" in done.stderr


async def test_a_thread_of_which_a_run_is_active_takes_no_other_runs(store: Store, database_url: str) -> None:
    models = Scripted([calls(("weather", "{}"))], any_assistant=True)
    async with served(store, models) as rest:
        active = await ask(rest, (await new_thread(rest))["id"], "asst_any")
        old = lines([a_run("run_old", thread_id := active["thread_id"])])

        done = await asyncio.to_thread(run, "import", "--database-url", database_url, given=old)

        assert done.exit_code == 1
        assert f"'{thread_id}' is being answered by '{active['id']}'" in done.stderr
        assert (await data_of(rest, f"/threads/{thread_id}/runs")) == [active]


def test_a_run_beyond_the_limits_is_imported_if_asked(sqlite_url: str) -> None:
    given = lines(
        [a_thread(), a_run(instructions="x" * 2_560_000), a_step(step_details={**CREATION, "odd": "x" * 2_560_000})]
    )

    refused = run("import", "--database-url", sqlite_url, given=given)
    taken = run("import", "--beyond-bounds", "--database-url", sqlite_url, given=given)

    assert refused.stderr.count("To import it anyway, use --beyond-bounds.") == 2
    assert taken.stderr == "Threads: 0, messages: 0, runs: 1, steps: 1, already present: 1, rejected: 0.\n"


def test_an_export_without_runs_is_as_it_was_before_there_were_any(database_url: str) -> None:
    take(database_url, a_thread(), a_message(run_id="run_a", assistant_id="asst_a"))

    told = [orjson.loads(line)["object"] for line in give(database_url).splitlines()]

    assert told == ["thread", "thread.message"]


def test_an_export_keeps_the_order_of_runs_that_a_jump_of_the_clock_made_older(
    sqlite_url: str, new_sqlite_url: Callable[[], str]
) -> None:
    order = {"object": "thread.order", "thread_id": "thread_a", "order": "asc"}
    made = [a_run(f"run_{n}", created_at=at) for n, at in enumerate((9, 900, 10, 11))]
    take(sqlite_url, a_thread(), *made, order)
    told, other = give(sqlite_url), new_sqlite_url()

    run("import", "--database-url", other, given=told)

    assert [orjson.loads(line).get("id") for line in told.splitlines()] == [
        *("thread_a", "run_0", "run_1", "run_2", "run_3", None)
    ]
    assert give(other) == told


def test_assistants_of_one_second_keep_their_order_whichever_way_they_were_listed(
    sqlite_url: str, new_sqlite_url: Callable[[], str]
) -> None:
    ids = ["asst_b", "asst_a", "asst_c"]
    made = [{"id": each, "object": "assistant", "created_at": 5, "model": "m"} for each in ids]
    take(sqlite_url, *made)
    told, other = give(sqlite_url), new_sqlite_url()

    take(other, {"object": "list", "data": made[::-1], "has_more": False})

    assert [orjson.loads(line)["id"] for line in told.splitlines()] == ids
    assert give(other) == told
