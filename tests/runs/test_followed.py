"""Runs in `threadEvents`, over a WebSocket of a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx

from gateway.runs.service import Answering
from tests.live.inside import serving_inside
from tests.live.subscribing import socket_to
from tests.runs.scripted import calls, says

if TYPE_CHECKING:
    from tests.runs.scripted import Scripted

EVENTS: Final = """subscription($threadId: ID!) { threadEvents(threadId: $threadId) {
  __typename
  ... on RunCreated { run { id status } }
  ... on RunUpdated { run { id status toolCalls { id } } }
  ... on MessageCreated { message { text } }
  ... on MessageDelta { text }
  ... on MessageUpdated { message { text status } } } }"""


async def _followed(socket: Any, until: str) -> list[dict[str, Any]]:
    """Receive the events of a thread until its run has a status."""
    found: list[dict[str, Any]] = []
    while not found or found[-1].get("run", {}).get("status") != until:
        found.append((await socket.receive())["payload"]["data"]["threadEvents"])
    return found


async def test_a_follower_sees_a_run_and_its_answer(database_url: str, models: Scripted) -> None:
    models.scripts += [calls(("weather", "{}")), says("Rain ", "at ", "noon.")]
    async with (
        serving_inside(database_url, answering=Answering(models)) as server,
        httpx.AsyncClient(base_url=f"{server.base_url}/v1") as rest,
        socket_to(server.base_url) as socket,
    ):
        assistant_id = (await rest.post("/assistants", json={"model": "small"})).json()["id"]
        thread_id = (await rest.post("/threads")).json()["id"]
        await socket.subscribe(EVENTS, threadId=thread_id)
        run = (await rest.post(f"/threads/{thread_id}/runs", json={"assistant_id": assistant_id})).json()

        before = await _followed(socket, "REQUIRES_ACTION")
        outputs = [{"tool_call_id": each["id"], "output": "rain"} for each in before[-1]["run"]["toolCalls"]]
        url = f"/threads/{thread_id}/runs/{run['id']}/submit_tool_outputs"
        await rest.post(url, json={"tool_outputs": outputs})
        after = await _followed(socket, "COMPLETED")

    events = before + after
    assert events[0]["__typename"] == "RunCreated"
    assert {each["run"]["id"] for each in events if "run" in each} == {run["id"]}
    assert {each["__typename"] for each in events if "run" in each} == {"RunCreated", "RunUpdated"}
    text = "".join(
        each["text"] if "text" in each else each["message"]["text"]
        for each in after
        if each["__typename"] in ("MessageCreated", "MessageDelta")
    )
    assert text == "Rain at noon."
