"""Mutations over WebSocket: a running mutation finishes, as over HTTP, whatever its client does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.domain.page import PageRequest
from gateway.graphql.transport import websocket
from tests.following import PATIENCE_S, until
from tests.live.inside import WHO, Inside
from tests.live.subscribing import ADDED, socket_to
from tests.make import holding, list_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gateway.domain.ids import ThreadId
    from tests.live.subscribing import Socket

CREATE = """mutation ($t: ID!) {
  createMessage(input: { threadId: $t, role: USER, content: { text: "finished" } }) { message { text } }
}"""
ANSWER = {"createMessage": {"message": {"text": "finished"}}}


@asynccontextmanager
async def held(inside: Inside, thread: ThreadId) -> AsyncIterator[None]:
    """Let nobody else change a thread."""
    async with holding(inside.store, lambda transaction: transaction.lock_ends(WHO.reach, [thread])):
        yield


async def begin(socket: Socket, thread: ThreadId, operation_id: str = "1") -> None:
    """Send the mutation, and wait until it runs: what is sent behind it is taken after its first step."""
    await socket.subscribe(CREATE, operation_id, t=thread)
    await socket.send("ping")
    assert await socket.receive() == {"type": "pong"}


async def texts(inside: Inside, thread: ThreadId) -> list[str]:
    found = await list_page(inside.store, WHO, thread, PageRequest())
    return [each.text for each in found.items]


async def abort(socket: Socket) -> None:
    socket.raw.transport.abort()


async def close(socket: Socket) -> None:
    await socket.raw.close()


async def send_second_connection_init(socket: Socket) -> None:
    await socket.send("connection_init")
    assert (await socket.end())[0] == 4429


async def complete(socket: Socket) -> None:
    await socket.send("complete", id="1")
    await socket.send("ping")
    assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize("leave", [abort, close, send_second_connection_init, complete])
async def test_running_mutation_finishes_after_the_client_leaves(
    inside: Inside, thread: ThreadId, leave: Callable[[Socket], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    with inside.hub.listen((WHO.reach.project_id, thread)) as hint:
        async with socket_to(inside.base_url) as socket:
            async with held(inside, thread):
                await begin(socket, thread)
                await leave(socket)
                if leave is not complete:
                    await until(lambda: not inside.connections)
            await asyncio.wait_for(hint.wait(0), PATIENCE_S)

    assert await texts(inside, thread) == ["finished"]
    assert "Traceback" not in caplog.text


async def test_completed_mutation_sends_nothing_and_frees_its_id(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        with inside.hub.listen((WHO.reach.project_id, thread)) as hint:
            async with held(inside, thread):
                await begin(socket, thread)
                await complete(socket)
                await socket.subscribe("{ __typename }")
                found: list[Any] = [await socket.receive(), await socket.receive()]
            await asyncio.wait_for(hint.wait(0), PATIENCE_S)
        await socket.send("ping")
        found.append(await socket.receive())

    assert [each["type"] for each in found] == ["next", "complete", "pong"]
    assert found[0]["payload"] == {"data": {"__typename": "Query"}}


async def test_completed_mutation_counts_towards_the_limit_while_it_runs(
    inside: Inside, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MAX_OPERATIONS", 1)
    async with socket_to(inside.base_url) as socket, held(inside, thread):
        await begin(socket, thread)
        await complete(socket)
        await socket.subscribe("{ __typename }", "2")
        refused = await socket.receive()

    assert (refused["type"], refused["id"]) == ("error", "2")


async def test_shutdown_answers_a_running_mutation_before_it_closes_with_1001(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as mutating, socket_to(inside.base_url) as following:
        await following.subscribe(ADDED, threadId=thread)
        async with held(inside, thread):
            await begin(mutating, thread)
            stopping = asyncio.create_task(inside.stop())
            gone = await following.end()
        answer = [await mutating.receive(), await mutating.receive()]
        end = await mutating.end()
        await stopping

    assert gone[0] == end[0] == 1001
    assert answer == [
        {"id": "1", "type": "next", "payload": {"data": ANSWER}},
        {"id": "1", "type": "complete"},
    ]
