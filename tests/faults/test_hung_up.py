"""A client that hangs up ends what it reads, so that the connection is free for others; it ends no write."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

import tests.live.inside
from gateway.app import Limits, serve_store
from gateway.core import transfer
from gateway.domain.ids import ThreadId
from gateway.graphql.options import Options
from gateway.graphql.transport.http import URL
from gateway.observability.listeners import Listeners
from gateway.server import timeouts
from gateway.store.engines.base import Timeouts
from gateway.store.store import open_store
from tests.following import until
from tests.graphql.test_deadline import endless_reads, locked, writing
from tests.live.inside import WHO, serving_inside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.observability.record import RequestRecord
    from tests.graphql.test_deadline import Running
    from tests.live.inside import Inside

AT_ONCE: Final = 8  # more than there are readers
LATE_S: Final = 60  # when something else would end what is asked
SOON_S: Final = 30  # however busy the machine is
LIST: Final = "{ threads { nodes { id } } }"
CREATE: Final = """mutation ($t: ID!) {
  createMessage(input: { threadId: $t, role: USER, content: { text: "a" } }) { message { id } }
}"""
# With another field it is executed in a task of its own.
CREATE_TWO: Final = CREATE.replace("{\n", "{\n  updateThread(input: { id: $t, metadata: {} }) { thread { id } }\n", 1)
READS: Final = {
    "REST": ("GET", "/v1/threads", None),
    "GraphQL by GET": ("GET", f"{URL}?query={LIST.replace(' ', '%20')}", None),
    "GraphQL by POST": ("POST", URL, {"query": LIST}),
    "GraphQL as events": ("POST", URL, {"query": LIST}),
}
WRITES: Final = {
    "REST": ("POST", "/v1/threads/THREAD/messages", {"role": "user", "content": "a"}),
    "GraphQL": ("POST", URL, {"query": CREATE, "variables": {"t": "THREAD"}}),
    "GraphQL, in a task": ("POST", URL, {"query": CREATE_TWO, "variables": {"t": "THREAD"}}),
}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing else end soon what is asked: no deadline, and no time-out of PostgreSQL."""
    of_database = Timeouts(lock_s=LATE_S, statement_s=LATE_S)
    parts: dict[str, Any] = {"options": Options(timeout_s=LATE_S, batch=2), "limits": Limits(LATE_S)}
    monkeypatch.setattr(tests.live.inside, "open_store", partial(open_store, timeouts=of_database))
    monkeypatch.setattr(tests.live.inside, "serve_store", partial(serve_store, **parts))


@asynccontextmanager
async def asking(inside: Inside, what: tuple[str, str, Any], accept: str = "*/*") -> AsyncIterator[None]:
    """Send a request, and hang up at the end of the block."""
    method, target, body = what
    sent = b"" if body is None else json.dumps(body).encode()
    url = urlsplit(inside.base_url)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    head = f"{method} {target} HTTP/1.1\r\nhost: {url.netloc}\r\naccept: {accept}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n"
    writer.write(head.encode() + sent)
    await writer.drain()
    yield
    writer.close()


async def thread_of(inside: Inside) -> str:
    async with httpx.AsyncClient(base_url=inside.base_url) as http:
        return str((await http.post("/v1/threads")).json()["id"])


async def count(inside: Inside, thread_id: str) -> int:
    return len([each async for each in transfer.export_messages(inside.store, WHO, ThreadId(thread_id))])


@pytest.mark.parametrize("face", READS)
async def test_a_client_that_hangs_up_leaves_sqlites_readers_to_others(sqlite_url: str, face: str) -> None:
    accept = "text/event-stream" if face == "GraphQL as events" else "*/*"
    async with serving_inside(sqlite_url) as inside:
        thread_id = await thread_of(inside)
        with endless_reads():
            for _ in range(AT_ONCE):
                async with asking(inside, READS[face], accept):
                    await until(lambda: inside.store.connections()["reader"] > 0)
        async with asyncio.timeout(SOON_S), httpx.AsyncClient(base_url=inside.base_url) as http:
            await until(lambda: inside.store.connections()["reader"] == 0)
            assert (await http.get(f"/v1/threads/{thread_id}")).status_code == 200


@pytest.mark.parametrize("face", READS)
async def test_a_client_that_hangs_up_ends_its_statement_on_postgres(postgres_url: str, face: str) -> None:
    accept = "text/event-stream" if face == "GraphQL as events" else "*/*"
    async with serving_inside(postgres_url) as inside:
        await thread_of(inside)
        await until(lambda: inside.store.connections()["reader"] == 0)  # nor does a task of the server read now
        async with locked(postgres_url) as running:
            async with asking(inside, READS[face], accept):
                await _wait_for(running, 1)
            await _wait_for(running, 0)


@pytest.mark.parametrize("face", WRITES)
async def test_a_client_that_hangs_up_does_not_end_its_write_on_sqlite(sqlite_url: str, face: str) -> None:
    async with serving_inside(sqlite_url) as inside:
        thread_id = await thread_of(inside)
        with writing(sqlite_url):
            async with asking(inside, _of(thread_id, WRITES[face])):
                await until(lambda: inside.store.connections()["writer"] == 1)
            await _long_enough(inside)
        await _until_idle(inside)

        assert await count(inside, thread_id) == 1


@pytest.mark.parametrize("face", WRITES)
async def test_a_client_that_hangs_up_does_not_end_its_write_on_postgres(postgres_url: str, face: str) -> None:
    async with serving_inside(postgres_url) as inside:
        thread_id = await thread_of(inside)
        async with locked(postgres_url) as running:
            async with asking(inside, _of(thread_id, WRITES[face])):
                await _wait_for(running, 1)
            await _long_enough(inside)
        await _until_idle(inside)

        assert await count(inside, thread_id) == 1


async def test_a_client_that_hangs_up_ends_its_batch(sqlite_url: str) -> None:
    async with serving_inside(sqlite_url) as inside:
        thread_id = await thread_of(inside)
        _, _, create = _of(thread_id, WRITES["GraphQL"])
        with endless_reads():
            async with asking(inside, ("POST", URL, [{"query": LIST}, create])):
                await until(lambda: inside.store.connections()["reader"] == 1)
            async with asyncio.timeout(SOON_S):
                await until(lambda: inside.store.connections()["reader"] == 0)
        await _until_idle(inside)

        assert await count(inside, thread_id) == 0


async def test_what_a_client_has_left_is_recorded_as_such(sqlite_url: str) -> None:
    seen: list[RequestRecord] = []
    async with serving_inside(sqlite_url, listeners=Listeners(seen.append)) as inside:
        with endless_reads():
            async with asking(inside, READS["REST"]):
                await until(lambda: inside.store.connections()["reader"] == 1)
            await until(lambda: bool(seen))

    assert [each.status for each in seen] == [499]


async def _long_enough(inside: Inside) -> None:
    """Wait until what a client has left would be cancelled: by a timer of this loop that began later."""
    await until(lambda: not inside.connections)
    await asyncio.sleep(timeouts.HUNG_UP_S)


async def _until_idle(inside: Inside) -> None:
    """Wait until each request has ended: between its writes, one holds no connection to the database."""
    async with asyncio.timeout(SOON_S):
        await until(lambda: not inside.server.server_state.tasks)


async def _wait_for(running: Running, count: int) -> None:
    async with asyncio.timeout(SOON_S):
        while not await running.becomes(count):
            pass


def _of(thread_id: str, what: tuple[str, str, Any]) -> tuple[str, str, Any]:
    method, target, body = what
    return method, target.replace("THREAD", thread_id), json.loads(json.dumps(body).replace("THREAD", thread_id))
