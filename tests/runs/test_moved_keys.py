"""The idempotency key of a run goes where the run goes: a retry after an import calls no model again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.exports import give, run, told
from tests.runs.calls import poll, texts

if TYPE_CHECKING:
    import httpx

KEY = {"Idempotency-Key": "one"}


async def test_a_retry_after_an_import_is_the_run_that_was_imported(
    database_url: str, rest: httpx.AsyncClient, thread_id: str, assistant_id: str
) -> None:
    path, body = f"/threads/{thread_id}/runs", {"assistant_id": assistant_id}
    made = await poll(rest, (await rest.post(path, json=body, headers=KEY)).json())
    said = await texts(rest, thread_id)
    exported = await asyncio.to_thread(give, database_url)
    await rest.delete(f"/threads/{thread_id}")
    arguments = ("import", "--replace-deleted", "--database-url", database_url)
    done = await asyncio.to_thread(run, *arguments, given=exported)

    again = await rest.post(path, json=body, headers=KEY)

    assert told(done) == []
    assert (again.status_code, again.json()["id"], again.headers["idempotent-replayed"]) == (200, made["id"], "true")
    assert await texts(rest, thread_id) == said
    assert await asyncio.to_thread(give, database_url) == exported
