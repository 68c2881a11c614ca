"""graphql-transport-ws over real sockets: one example of each claim; the table itself is in `graphql/test_protocol`."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from gateway.core import threads
from gateway.domain import bounds
from gateway.graphql.transport import websocket
from tests.following import say
from tests.live.inside import WHO, Inside
from tests.live.subscribing import ADDED, open_socket, socket_to

if TYPE_CHECKING:
    from gateway.domain.ids import ThreadId

pytestmark = pytest.mark.counted

BAD_MESSAGES: dict[str, str | bytes] = {
    "an unknown type": '{"type": "start"}',
    "binary": b'{"type": "connection_init"}',
    "deeply nested arrays": "[" * 5000,
}
# Faults of the operation alone: the message follows the protocol.
BAD_PARAMETERS: dict[str, dict[str, Any]] = {
    "no query": {},
    "a query that is no string": {"query": 1},
    "variables that are no object": {"query": "{ __typename }", "variables": []},
    "extensions that are no object": {"query": "{ __typename }", "extensions": 1},
    "an id beside a document": {"query": "{ __typename }", "documentId": "a"},
    "an id that nobody knows": {"query": "", "documentId": "a"},
    "a hash that is none": {"query": "", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": 1}}},
    "a hash that nobody knows": {"query": "", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "a"}}},
    "a version that nobody knows": {"query": "", "extensions": {"persistedQuery": {"version": 2}}},
    "half of a surrogate pair": {"query": "{ __typename }", "variables": {"a": "\ud83d"}},
    "a number that is infinite": {"query": "{ __typename }", "variables": {"a": 10**400}},
    "too many levels": {"query": "{ __typename }", "variables": {"a": json.loads("[" * 200 + "]" * 200)}},
    "too many values": {"query": "{ __typename }", "variables": {"a": [0] * bounds.JSON_VALUES.number}},
}


@pytest.mark.parametrize("subprotocols", [(), ("graphql-ws",), ("soap",)])
async def test_connection_without_the_subprotocol_closes_with_4406(
    base_url: str, subprotocols: tuple[str, ...]
) -> None:
    async with open_socket(base_url, subprotocols=subprotocols) as socket:
        assert (await socket.end())[0] == 4406


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1:1", "null", "http://["])
async def test_cross_origin_connection_closes_with_4403(base_url: str, origin: str) -> None:
    async with open_socket(base_url, origin=origin) as socket:
        assert (await socket.end())[0] == 4403


async def test_same_origin_connection_is_accepted(base_url: str) -> None:
    async with socket_to(base_url, origin=base_url) as socket:
        assert socket.raw.subprotocol == "graphql-transport-ws"


async def test_subprotocol_is_chosen_from_several(base_url: str) -> None:
    async with open_socket(base_url, subprotocols=("graphql-ws", "graphql-transport-ws")) as socket:
        assert socket.raw.subprotocol == "graphql-transport-ws"


@pytest.mark.parametrize("message", BAD_MESSAGES.values(), ids=list(BAD_MESSAGES))
async def test_invalid_message_closes_with_4400_without_a_traceback(
    base_url: str, message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_socket(base_url) as socket:
        await socket.raw.send(message)

        assert (await socket.end())[0] == 4400
    assert "Traceback" not in caplog.text


async def test_subscribe_before_connection_init_closes_with_4401(base_url: str) -> None:
    async with open_socket(base_url) as socket:
        await socket.subscribe("{ __typename }")

        assert await socket.end() == (4401, "Unauthorized")


async def test_second_connection_init_closes_with_4429(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.send("connection_init")

        assert await socket.end() == (4429, "Too many initialisation requests")


async def test_missing_connection_init_closes_with_4408(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_S", 0.05)
    async with open_socket(base_url) as socket:
        assert await socket.end() == (4408, "Connection initialisation timeout")


async def test_pings_do_not_extend_the_init_timeout(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_S", 0.3)

    async def chatter() -> None:
        while True:
            await socket.send("ping")
            await asyncio.sleep(0.01)

    async with open_socket(base_url) as socket:
        chattering = asyncio.create_task(chatter())

        assert (await socket.end())[0] == 4408
        await asyncio.wait([chattering])
        chattering.exception()


async def test_active_operation_id_closes_with_4409(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(ADDED, threadId=thread)
        await socket.subscribe(ADDED, threadId=thread)

        assert await socket.end() == (4409, "Subscriber for 1 already exists")


@pytest.mark.parametrize("payload", [{}, {"payload": {"a": [1, None]}}])
async def test_ping_is_answered_with_its_payload(base_url: str, payload: dict[str, Any]) -> None:
    async with socket_to(base_url) as socket:
        await socket.send("ping", **payload)

        assert await socket.receive() == {"type": "pong", **payload}


async def test_unasked_pong_is_accepted(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.send("pong")
        await socket.send("ping")

        assert (await socket.receive())["type"] == "pong"


async def test_connection_init_accepts_a_payload(base_url: str) -> None:
    async with open_socket(base_url) as socket:
        await socket.send("connection_init", payload={"authorization": "Bearer x"})

        assert (await socket.receive())["type"] == "connection_ack"


async def test_compression_is_not_negotiated(base_url: str) -> None:
    async with socket_to(base_url, compression="deflate") as socket:
        assert socket.raw.protocol.extensions == []


async def test_query_sends_one_next_and_complete(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.subscribe("{ __typename }")

        assert [await socket.receive(), await socket.receive()] == [
            {"id": "1", "type": "next", "payload": {"data": {"__typename": "Query"}}},
            {"id": "1", "type": "complete"},
        ]


async def test_operation_id_is_reusable_after_complete(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        for _ in range(3):
            await socket.subscribe("{ __typename }")
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]


async def test_mutation_writes_to_the_store(inside: Inside) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe("mutation { createThread(input: {}) { thread { id } } }")

        made = (await socket.receive())["payload"]["data"]["createThread"]["thread"]["id"]

    assert await threads.get_many(inside.store, WHO, [made])


@pytest.mark.parametrize("query", ["{", "{ nothing }", "subscription { messageAdded { cursor } }", ""])
async def test_invalid_document_sends_error_and_keeps_the_connection(base_url: str, query: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.subscribe(query)

        refused = await socket.receive()
        assert (refused["type"], refused["id"]) == ("error", "1")
        assert refused["payload"][0]["message"]
        await socket.send("ping")
        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize("payload", BAD_PARAMETERS.values(), ids=list(BAD_PARAMETERS))
async def test_invalid_parameters_send_error_and_keep_the_connection(base_url: str, payload: dict[str, Any]) -> None:
    async with socket_to(base_url) as socket:
        await socket.send("subscribe", id="bad", payload=payload)
        refused = await socket.receive()
        await socket.subscribe("{ __typename }", "good")

        assert (refused["type"], refused["id"], len(refused["payload"])) == ("error", "bad", 1)
        assert await socket.receive() == {"id": "good", "type": "next", "payload": {"data": {"__typename": "Query"}}}


async def test_subscription_continues_after_another_operation_fails(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(ADDED, "good", threadId=thread, after="0")
        await socket.send("subscribe", id="bad", payload={"variables": 1})
        assert (await socket.receive())["type"] == "error"
        await say(inside.store, WHO, thread, "heard")

        assert await socket.texts(1) == ["heard"]


async def test_frame_of_the_maximum_size_is_accepted(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.raw.send(json.dumps({"type": "pong", "payload": {"a": "x" * (bounds.GRAPHQL_BODY.number - 100)}}))
        await socket.send("ping")

        assert await socket.receive() == {"type": "pong"}


async def test_larger_frame_closes_with_1009(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        with suppress(ConnectionClosed):  # before all of it was sent
            await socket.raw.send(" " * (bounds.GRAPHQL_BODY.number + 1))

        assert (await socket.end())[0] == 1009
