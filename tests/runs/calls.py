"""Short ways to make runs over REST and to wait for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.pace import patience
from tests.rest.calls import add

if TYPE_CHECKING:
    import httpx

_WAITING = ("queued", "in_progress", "cancelling")


async def create(rest: httpx.AsyncClient, thread_id: str, assistant_id: str, **body: Any) -> Any:
    """Create a run that must be accepted."""
    answer = await rest.post(f"/threads/{thread_id}/runs", json={"assistant_id": assistant_id, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def poll(rest: httpx.AsyncClient, run: Any, *but: str) -> Any:
    """Read a run until it waits for nothing but its client, or is in one of some statuses."""
    async with asyncio.timeout(patience(20)):
        while True:
            answer = await rest.get(f"/threads/{run['thread_id']}/runs/{run['id']}")
            assert answer.status_code == 200, answer.text
            found = answer.json()
            if found["status"] not in _WAITING or found["status"] in but:
                return found
            await asyncio.sleep(0.01)


async def ask(rest: httpx.AsyncClient, thread_id: str, assistant_id: str, text: str = "Hi", **body: Any) -> Any:
    """Add a message, create a run and wait for it."""
    await add(rest, thread_id, text)
    return await poll(rest, await create(rest, thread_id, assistant_id, **body))


async def texts(rest: httpx.AsyncClient, thread_id: str) -> list[tuple[str, str, str]]:
    """List the role, status and text of each message, oldest first."""
    listed = (await rest.get(f"/threads/{thread_id}/messages", params={"order": "asc"})).json()["data"]
    return [
        (each["role"], each["status"], "".join(part["text"]["value"] for part in each["content"])) for each in listed
    ]


async def stream(rest: httpx.AsyncClient, path: str, **body: Any) -> str:
    """Post what is answered by a stream."""
    answer = await rest.post(path, json={**body, "stream": True})
    assert answer.status_code == 200, answer.text
    return answer.text


async def until_begun(rest: httpx.AsyncClient, thread_id: str) -> None:
    """Wait for the first message of a thread."""
    async with asyncio.timeout(patience(20)):
        while not await texts(rest, thread_id):  # noqa: ASYNC110  (what is waited for is in the database)
            await asyncio.sleep(0.01)
