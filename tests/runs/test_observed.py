"""What is noted of runs: lines of the audit log, metrics, and the header that tells SDKs when to ask again."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import httpx

from gateway.app import serve_store
from gateway.observability import audit
from gateway.observability.listeners import Listeners
from gateway.observability.metrics import Metrics
from gateway.runs.service import Answering
from tests.observability.test_metrics import value
from tests.rest.calls import new_thread
from tests.runs.calls import ask, create, poll
from tests.runs.conftest import lifespan_of
from tests.runs.scripted import Scripted, calls, says

if TYPE_CHECKING:
    import pytest

    from gateway.events.hub import Hub
    from gateway.store.store import Store


async def test_a_header_says_when_to_ask_again(rest: httpx.AsyncClient, thread_id: str, assistant_id: str) -> None:
    run = await create(rest, thread_id, assistant_id)

    answer = await rest.get(f"/threads/{thread_id}/runs/{run['id']}")

    assert answer.headers["openai-poll-after-ms"] == "200"


async def test_runs_and_deleted_assistants_are_audited(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, audit.LOGGER)
    models.scripts.append(calls(("weather", "{}")))
    cancelled = await ask(rest, thread_id, assistant_id)
    await rest.post(f"/threads/{thread_id}/runs/{cancelled['id']}/cancel")
    other = await poll(rest, (await rest.post("/threads/runs", json={"assistant_id": assistant_id})).json())
    await rest.delete(f"/assistants/{assistant_id}")

    lines = [json.loads(each.getMessage()) for each in caplog.records if each.name == audit.LOGGER]
    assert [(each["event"], each["object"], each.get("thread")) for each in lines] == [
        ("run.created", cancelled["id"], thread_id),
        ("run.cancelled", cancelled["id"], thread_id),
        ("run.created", other["id"], other["thread_id"]),
        ("assistant.deleted", assistant_id, None),
    ]


async def test_ended_runs_and_their_tokens_have_metrics(store: Store, hub: Hub) -> None:
    metrics, models = Metrics("127.0.0.1", 0), Scripted([says("Hi"), calls(("weather", "{}"))], any_assistant=True)
    app = serve_store(store, hub=hub, listeners=Listeners(metrics.count, metrics), answering=Answering(models))
    transport = httpx.ASGITransport(app)
    async with lifespan_of(app), httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as rest:
        for _ in range(2):
            await ask(rest, (await new_thread(rest))["id"], "asst_any")
        ended = value(metrics.registry, "gateway_runs_total", status="completed")
        tokens = [value(metrics.registry, "gateway_run_tokens_total", kind=kind) for kind in ("prompt", "completion")]

    assert ended == 1
    assert tokens == [14, 10]
