"""While a run answers, only the run adds messages to its thread, whichever way they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import messages, run_progress, threads
from gateway.core.run_progress import Outcome
from gateway.domain.principal import Reach
from gateway.domain.run import RunStatus
from tests.make import new_message
from tests.rest.calls import add
from tests.runs.calls import create, poll, texts, until_begun
from tests.runs.scripted import STOP, calls, says
from tests.transfer.loading import load

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal
    from tests.faces import GraphQL
    from tests.runs.scripted import Scripted

MESSAGE = {"role": "user", "content": "hi"}


@pytest.fixture
async def held(rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted) -> Any:
    """Let a run wait for its functions."""
    models.scripts.append(calls(("weather", "{}")))
    return await poll(rest, await create(rest, thread_id, assistant_id))


async def test_a_message_over_rest_is_refused(rest: httpx.AsyncClient, thread_id: str, held: Any) -> None:
    refused = await rest.post(f"/threads/{thread_id}/messages", json=MESSAGE)

    error = {
        "message": f"Can't add messages to {thread_id} while a run {held['id']} is active.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert (refused.status_code, refused.json()) == (400, {"error": error})


async def test_a_message_over_graphql_is_refused_also_with_the_id_of_the_run(
    graphql: GraphQL, thread_id: str, held: Any
) -> None:
    given = {"threadId": thread_id, "role": "USER", "content": {"text": "hi"}, "runId": held["id"]}
    create_message = "mutation ($input: CreateMessageInput!) { createMessage(input: $input) { message { id } } }"

    error = await graphql.refusal(create_message, input=given)

    assert error["extensions"]["code"] == "thread_locked"


async def test_a_second_run_is_refused_with_its_messages(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, held: Any
) -> None:
    for more in ({}, {"additional_messages": [MESSAGE]}):
        body = {"assistant_id": assistant_id, **more}
        refused = await rest.post(f"/threads/{thread_id}/runs", json=body)

        message = f"Thread {thread_id} already has an active run {held['id']}."
        assert (refused.status_code, refused.json()["error"]["message"]) == (400, message)
    assert await texts(rest, thread_id) == []


async def test_a_second_run_over_graphql_is_refused_with_the_code_of_the_lock(
    graphql: GraphQL, thread_id: str, assistant_id: str, held: Any
) -> None:
    create_run = "mutation ($input: CreateRunInput!) { createRun(input: $input) { run { id } } }"

    error = await graphql.refusal(create_run, input={"threadId": thread_id, "assistantId": assistant_id})

    message = f"Thread {thread_id} already has an active run {held['id']}."
    assert (error["message"], error["extensions"]["code"]) == (message, "thread_locked")


async def test_an_import_is_refused(store: Store, who: Principal, thread_id: ThreadId, held: Any) -> None:
    thread = await threads.get(store, who, thread_id)

    taken = await load(store, who, thread, [messages.from_new(thread_id, new_message("late"), 2_000_000_000)])

    [refused] = taken.refused
    assert refused.reason.startswith(f"'{thread_id}' is being answered by '{held['id']}'")
    assert taken.messages == 0


@pytest.mark.usefixtures("held")
async def test_other_changes_of_the_thread_are_allowed(rest: httpx.AsyncClient, thread_id: str) -> None:
    changed = await rest.post(f"/threads/{thread_id}", json={"metadata": {"a": "b"}})

    assert changed.json()["metadata"] == {"a": "b"}


async def test_a_replayed_key_is_answered_before_the_lock(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts.append(calls(("weather", "{}")))
    keyed = {"Idempotency-Key": "one"}
    path, body = f"/threads/{thread_id}/runs", {"assistant_id": assistant_id}
    made = await rest.post(path, json=body, headers=keyed)

    again = await rest.post(path, json=body, headers=keyed)

    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_replayed_key_streams_the_run_that_was_not_streamed_before(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts.append(calls(("weather", "{}")))
    keyed = {"Idempotency-Key": "one"}
    path, body = f"/threads/{thread_id}/runs", {"assistant_id": assistant_id}
    made = await rest.post(path, json=body, headers=keyed)
    await poll(rest, made.json())

    again = await rest.post(path, json=body | {"stream": True}, headers=keyed)

    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert made.json()["id"] in again.text
    assert "event: thread.run.requires_action" in again.text


async def test_deleting_the_thread_ends_the_run(rest: httpx.AsyncClient, thread_id: str, held: Any) -> None:
    assert (await rest.delete(f"/threads/{thread_id}")).status_code == 200

    gone = await rest.get(f"/threads/{thread_id}/runs/{held['id']}")
    assert gone.status_code == 404


async def test_the_end_of_a_run_frees_its_thread(rest: httpx.AsyncClient, thread_id: str, held: Any) -> None:
    await rest.post(f"/threads/{thread_id}/runs/{held['id']}/cancel")
    assert (await poll(rest, held))["status"] == "cancelled"

    await add(rest, thread_id)


async def test_a_run_past_its_time_holds_nobody_up(
    rest: httpx.AsyncClient, thread_id: str, held: Any, store: Store
) -> None:
    reach = Reach("default")
    await store.write(lambda writes: writes.set_run(reach, held["id"], {"expires_at": 1, "due_at": 1 << 50}))

    await add(rest, thread_id)

    found = await rest.get(f"/threads/{thread_id}/runs/{held['id']}")
    assert (found.json()["status"], found.json()["expires_at"]) == ("expired", None)


async def test_a_run_ends_once(store: Store, held: Any) -> None:
    reach = Reach("default")
    ends = [run_progress.end(store, reach, held["id"], Outcome(RunStatus.EXPIRED)) for _ in range(5)]

    ended = await asyncio.gather(*ends)

    assert sum(each is not None for each in ended) == 1


async def test_of_many_runs_at_once_one_is_created(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    models.scripts += [[asyncio.Event()]]
    body = {"assistant_id": assistant_id}

    made = await asyncio.gather(*(rest.post(f"/threads/{thread_id}/runs", json=body) for _ in range(8)))

    assert sorted(each.status_code for each in made) == [200, *[400] * 7]


async def test_the_texts_of_a_run_that_was_cancelled_stay(
    rest: httpx.AsyncClient, thread_id: str, assistant_id: str, models: Scripted
) -> None:
    waits = asyncio.Event()
    models.scripts.append([*says("Half an ")[:-1], waits, STOP])
    run = await create(rest, thread_id, assistant_id)
    await until_begun(rest, thread_id)

    cancelled = await rest.post(f"/threads/{thread_id}/runs/{run['id']}/cancel")
    assert cancelled.json()["status"] == "cancelling"
    assert (await poll(rest, run))["status"] == "cancelled"
    assert await texts(rest, thread_id) == [("assistant", "incomplete", "Half an ")]
    refused = await rest.post(f"/threads/{thread_id}/runs/{run['id']}/cancel")
    assert refused.json()["error"]["message"] == "Cannot cancel run with status 'cancelled'."
