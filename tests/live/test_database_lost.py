"""The database goes away from those who follow: they are sent to try again, and go on from their cursor."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest
from websockets import ConnectionClosed

from gateway.store.store import open_store
from tests.following import PATIENCE_S, make_thread, rest_of, say, take
from tests.graphql.serving import watching
from tests.live.cutting import Line, line_to
from tests.live.inside import WHO, Inside, serving_inside
from tests.live.server import serving
from tests.live.subscribing import ADDED, socket_to, stream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from tests.live.subscribing import Event, Socket

pytestmark = pytest.mark.counted

EVENTS = """
subscription($threadId: ID!, $after: String) {
  threadEvents(threadId: $threadId, after: $after) { cursor ... on MessageCreated { message { text } } }
}"""
WITH_THREAD = ADDED.replace("node {", "node { thread { id }")
LATER = (1013, "Database unavailable: resume from the last cursor")
BOTH = pytest.mark.parametrize("query", [pytest.param(ADDED, id="added"), pytest.param(EVENTS, id="events")])


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """Have a way of our own to the database, which is never away."""
    opened = open_store(postgres_url)
    yield opened
    await opened.close()


@pytest.fixture
async def line(postgres_url: str) -> AsyncIterator[Line]:
    async with line_to(postgres_url) as opened:
        yield opened


@pytest.fixture
async def inside(line: Line) -> AsyncIterator[Inside]:
    async with serving_inside(line.url) as server:
        yield server


@pytest.fixture
async def thread(store: Store) -> ThreadId:
    thread_id = await make_thread(store, WHO)
    await say(store, WHO, thread_id, "1")
    return thread_id


@contextmanager
def unreadable(store: Store, table: str) -> Iterator[None]:
    """Lose the connection with every statement that begins to read one table."""

    def lose(_database: str, statement: str) -> None:
        if f"FROM {table}" in statement:
            raise ConnectionResetError

    with watching(store, lose):
        yield


async def heard(socket: Socket) -> tuple[str, str]:
    """Receive one event, as its cursor and text."""
    return text_in((await socket.receive())["payload"])


def text_in(told: Any) -> tuple[str, str]:
    assert "errors" not in told
    [each] = told["data"].values()
    return each["cursor"], (each.get("node") or each.get("message"))["text"]


async def first(events: AsyncIterator[Event]) -> tuple[str | None, str]:
    """Receive one event, as its id and text."""
    [told] = await take(events, 1)
    return told.id, text_in(told.data)[1]


@BOTH
async def test_a_websocket_is_closed_with_1013_until_the_database_is_back(
    inside: Inside, line: Line, store: Store, thread: ThreadId, query: str
) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(query, threadId=thread, after="0")
        cursor, text = await heard(socket)
        line.cut()
        await say(store, WHO, thread, "2")
        inside.hub.wake_all()
        ends = [await socket.end()]
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(query, threadId=thread, after=cursor)
        ends.append(await socket.end())

    line.mend()
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(query, threadId=thread, after=cursor)
        texts = [text, (await heard(socket))[1]]
        await say(store, WHO, thread, "3")
        inside.hub.wake_all()
        texts.append((await heard(socket))[1])

    assert ends == [LATER, LATER]
    assert texts == ["1", "2", "3"]


@BOTH
async def test_a_stream_ends_without_complete_until_the_database_is_back(
    inside: Inside, line: Line, store: Store, thread: ThreadId, query: str
) -> None:
    async with httpx.AsyncClient(base_url=inside.base_url, timeout=PATIENCE_S) as http:
        async with stream_of(http, query, threadId=thread, after="0") as events:
            last_id, text = await first(events)
            line.cut()
            await say(store, WHO, thread, "2")
            inside.hub.wake_all()
            ends = [await rest_of(events)]
        async with stream_of(http, query, last_id, threadId=thread) as events:
            ends.append(await rest_of(events))

        line.mend()
        async with stream_of(http, query, last_id, threadId=thread) as events:
            texts = [text, (await first(events))[1]]
            await say(store, WHO, thread, "3")
            inside.hub.wake_all()
            texts.append((await first(events))[1])

    assert ends == [[], []]
    assert texts == ["1", "2", "3"]


async def test_an_event_that_cannot_be_read_completely_is_emitted_later(sqlite_url: str) -> None:
    async with serving_inside(sqlite_url) as inside:
        thread = await make_thread(inside.store, WHO)
        await say(inside.store, WHO, thread, "1")
        async with socket_to(inside.base_url) as socket:
            await socket.subscribe(WITH_THREAD, threadId=thread, after="0")
            cursor, _ = await heard(socket)
            with unreadable(inside.store, "threads"):
                await say(inside.store, WHO, thread, "2")
                end = await socket.end()

        async with socket_to(inside.base_url) as socket:
            await socket.subscribe(WITH_THREAD, threadId=thread, after=cursor)
            _, text = await heard(socket)

    assert (end, text) == (LATER, "2")


async def test_followers_go_on_or_resume_after_postgres_closes_all_connections(
    postgres_url: str, store: Store, thread: ThreadId, tmp_path: Path
) -> None:
    end_others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await store.close()
    connection = await asyncpg.connect(postgres_url)
    with serving(postgres_url, folder=tmp_path) as server:
        async with socket_to(server.base_url) as socket:
            await socket.subscribe(ADDED, threadId=thread, after="0")
            cursor, _ = await heard(socket)
            await connection.execute(end_others)
            await say(store, WHO, thread, "2")
            end = None
            try:
                _, text = await heard(socket)
            except ConnectionClosed:  # it read over one of the connections that were closed
                end, text = await socket.end(), "2"
        await connection.close()
        async with socket_to(server.base_url) as socket:
            await socket.subscribe(ADDED, threadId=thread, after=cursor)
            _, resumed = await heard(socket)

    assert end in (None, LATER)
    assert (text, resumed) == ("2", "2")
