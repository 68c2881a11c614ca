"""Two servers of one PostgreSQL: a run that one of them answers is followed, continued and ended at the other."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.live.server import PATIENCE_S, serving
from tests.runs.calls import create, poll, texts
from tests.runs.fake_model import DONE, Act, FakeModel, Script, calls, chunk, fake_model, says, usage
from tests.runs.scripted import events_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

FOUND_S: Final = 8.0  # a worker looks once a second whether its runs go on; the rest is for a machine that is busy
HALF: Final = Script([chunk({"content": "Half "}), Act.HANG])


@dataclass
class Site:
    """A server, and the model that it alone asks."""

    rest: httpx.AsyncClient
    model: FakeModel


@pytest.fixture(scope="module")
def served(
    new_postgres_url: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[tuple[str, FakeModel]]]:
    """Serve one database twice, each time with a model of its own."""
    url, folder = new_postgres_url(), tmp_path_factory.mktemp("two")
    with ExitStack() as stack:
        models = [stack.enter_context(fake_model()) for _ in range(2)]
        flags = [("--model-url", model.url, "--model", "m") for model in models]
        servers = [stack.enter_context(serving(url, *each, folder=folder)) for each in flags]
        yield [(server.base_url, model) for server, model in zip(servers, models, strict=True)]


@pytest.fixture
async def sites(served: list[tuple[str, FakeModel]]) -> AsyncIterator[list[Site]]:
    """Call both."""
    async with (
        httpx.AsyncClient(base_url=f"{served[0][0]}/v1", timeout=PATIENCE_S) as one,
        httpx.AsyncClient(base_url=f"{served[1][0]}/v1", timeout=PATIENCE_S) as other,
    ):
        yield [Site(each, model) for each, (_, model) in zip((one, other), served, strict=True)]
    for _, model in served:
        model.forget()


async def begun(sites: list[Site], *scripts: Script) -> tuple[Any, Site, Site]:
    """Create a run; return it, the site that answers it, and the other one."""
    rest = sites[0].rest
    assistant = (await rest.post("/assistants", json={"model": "m"})).json()["id"]
    thread = (await rest.post("/threads", json={"messages": [{"role": "user", "content": "Hi"}]})).json()["id"]
    for site in sites:
        site.model.answer(*scripts)
    run = await create(rest, thread, assistant)
    async with asyncio.timeout(PATIENCE_S):
        while not any(site.model.asked for site in sites):  # noqa: ASYNC110  (it is in another thread)
            await asyncio.sleep(0.01)
    worker, other = sorted(sites, key=lambda site: not site.model.asked)
    other.model.forget()
    return run, worker, other


async def until_said(rest: httpx.AsyncClient, run: Any, text: str) -> None:
    """Wait for a text of the answer."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(said == text for *_, said in await texts(rest, run["thread_id"])):  # noqa: ASYNC110  (as above)
            await asyncio.sleep(0.01)


async def test_a_run_is_cancelled_by_the_server_that_does_not_answer_it(sites: list[Site]) -> None:
    run, worker, other = await begun(sites, HALF)
    await until_said(other.rest, run, "Half ")

    cancelled = await other.rest.post(f"/threads/{run['thread_id']}/runs/{run['id']}/cancel")

    assert cancelled.json()["status"] == "cancelling"
    async with asyncio.timeout(FOUND_S):
        assert (await poll(other.rest, run))["status"] == "cancelled"
        assert (await poll(worker.rest, run))["status"] == "cancelled"
    assert (await texts(other.rest, run["thread_id"]))[1:] == [("assistant", "incomplete", "Half ")]
    assert await asyncio.to_thread(worker.model.gone.wait, FOUND_S)


async def test_a_thread_that_the_other_server_deletes_ends_the_call_of_the_model(sites: list[Site]) -> None:
    run, worker, other = await begun(sites, HALF)
    await until_said(other.rest, run, "Half ")

    assert (await other.rest.delete(f"/threads/{run['thread_id']}")).status_code == 200

    assert await asyncio.to_thread(worker.model.gone.wait, FOUND_S)
    assert (await worker.rest.get(f"/threads/{run['thread_id']}/runs/{run['id']}")).status_code == 404


async def test_outputs_of_functions_are_submitted_to_the_other_server(sites: list[Site]) -> None:
    run, worker, other = await begun(sites, calls(("weather", '{"city":"Oslo"}')))
    waiting = await poll(other.rest, run)
    [call] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    for site in (worker, other):
        site.model.answer(says("Rain."))
    body = {"tool_outputs": [{"tool_call_id": call["id"], "output": "rain"}], "stream": True}

    answer = await other.rest.post(f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs", json=body)

    names = [name for name, *_ in events_of(answer.text)]
    assert (names[0], names[-2:]) == ("thread.run.step.completed", ["thread.run.completed", "done"])
    assert (await texts(other.rest, run["thread_id"]))[1:] == [("assistant", "completed", "Rain.")]


async def test_a_stream_goes_on_at_the_server_that_does_not_answer_the_run(sites: list[Site]) -> None:
    goes_on = threading.Event()
    first, second = (chunk({"content": text}) for text in ("Half ", "and half."))
    pieces: list[Any] = [first, partial(goes_on.wait, PATIENCE_S), second, chunk({}, "stop"), usage(), DONE]
    run, worker, other = await begun(sites, Script(pieces))
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    epoch = (await other.rest.post("/threads/runs", json=await _short(sites))).text.split("id: ")[1].split("-")[0]
    await until_said(other.rest, run, "Half ")

    seen = await _read(other.rest, path, f"{epoch}-0-0", until="thread.message.delta")
    last = seen[-1][2]
    following = asyncio.ensure_future(_read(worker.rest, path, last))
    resuming = asyncio.ensure_future(_read(other.rest, path, last))
    goes_on.set()
    rests = [await following, await resuming]

    for rest in rests:
        assert _text([*seen, *rest]) == "Half and half."
        assert [name for name, *_ in rest][-2:] == ["thread.run.completed", "done"]


async def _short(sites: list[Site]) -> dict[str, Any]:
    assistant = (await sites[0].rest.post("/assistants", json={"model": "m"})).json()["id"]
    return {"assistant_id": assistant, "stream": True}


async def _read(rest: httpx.AsyncClient, path: str, last: str, until: str = "done") -> list[tuple[str, Any, str]]:
    """Read a stream after an event, up to one of a name, and leave."""
    text = ""
    async with rest.stream("GET", path, headers={"Last-Event-ID": last}) as answer:
        async for piece in answer.aiter_text():
            text += piece
            found = events_of(text.rpartition("\n\n")[0])
            if any(name == until for name, *_ in found):
                return found
    return events_of(text)


def _text(events: list[tuple[str, Any, str]]) -> str:
    deltas = [data["delta"]["content"] for name, data, _ in events if name == "thread.message.delta"]
    return "".join(part["text"]["value"] for parts in deltas for part in parts)
