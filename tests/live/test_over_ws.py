"""graphql-transport-ws by its rules; the numbers are those of graphql-ws's PROTOCOL.md."""

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

HELLO: dict[str, Any] = {"type": "connection_init"}
BAD_MESSAGES: dict[str, str | bytes] = {
    "no JSON": "hello",
    "half of JSON": '{"type": "connection_init"',
    "no object": "[]",
    "no type": "{}",
    "an unknown type": '{"type": "start"}',
    "a type that is no string": '{"type": {}}',
    "a message of the server": '{"type": "next", "id": "1", "payload": {}}',
    "binary": b'{"type": "connection_init"}',
    "a payload that is no object": '{"type": "connection_init", "payload": "token"}',
    "a ping with a payload that is no object": '{"type": "ping", "payload": 1}',
    "a pong with a payload that is no object": '{"type": "pong", "payload": 1}',
    "a complete without an id": '{"type": "complete"}',
    "a complete with an id that is no string": '{"type": "complete", "id": 1}',
    "a ping that is nested deep": '{"type": "ping", "payload": ' + '{"a":' * 400 + "1" + "}" * 401,
    "JSON nested too deep": "[" * 5000,
}
BAD_SUBSCRIBES: dict[str, dict[str, Any]] = {
    "no id": {"payload": {"query": "{ __typename }"}},
    "an empty id": {"id": "", "payload": {"query": "{ __typename }"}},
    "an id that is no string": {"id": 1, "payload": {"query": "{ __typename }"}},
    "an id that is too long": {"id": "1" * 201, "payload": {"query": "{ __typename }"}},
    "no payload": {"id": "1"},
    "a payload that is no object": {"id": "1", "payload": "{ __typename }"},
}
# Whether a document is named, and how, is no matter of the protocol but of the operation.
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
}


@pytest.mark.parametrize("subprotocols", [(), ("graphql-ws",), ("soap",)])
async def test_without_the_one_protocol_a_connection_is_closed_with_4406(
    base_url: str, subprotocols: tuple[str, ...]
) -> None:
    async with open_socket(base_url, subprotocols=subprotocols) as socket:
        assert (await socket.end())[0] == 4406


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1:1", "null", "http://["])
async def test_a_page_of_another_origin_is_sent_away_with_4403(base_url: str, origin: str) -> None:
    async with open_socket(base_url, origin=origin) as socket:
        assert (await socket.end())[0] == 4403


async def test_a_page_of_this_server_is_let_in(base_url: str) -> None:
    async with socket_to(base_url, origin=base_url) as socket:
        assert socket.raw.subprotocol == "graphql-transport-ws"


async def test_the_one_protocol_is_found_among_others(base_url: str) -> None:
    async with open_socket(base_url, subprotocols=("graphql-ws", "graphql-transport-ws")) as socket:
        assert socket.raw.subprotocol == "graphql-transport-ws"


@pytest.mark.parametrize("message", BAD_MESSAGES.values(), ids=list(BAD_MESSAGES))
async def test_a_message_that_is_none_of_the_protocol_closes_with_4400(
    base_url: str, message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_socket(base_url) as socket:
        await socket.raw.send(message)

        assert (await socket.end())[0] == 4400
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("message", BAD_SUBSCRIBES.values(), ids=list(BAD_SUBSCRIBES))
async def test_a_subscribe_that_is_not_as_it_must_be_closes_with_4400(base_url: str, message: dict[str, Any]) -> None:
    async with socket_to(base_url) as socket:
        await socket.send("subscribe", **message)

        assert (await socket.end())[0] == 4400


async def test_an_operation_before_the_hello_closes_with_4401(base_url: str) -> None:
    async with open_socket(base_url) as socket:
        await socket.subscribe("{ __typename }")

        assert await socket.end() == (4401, "Unauthorized")


async def test_a_second_hello_closes_with_4429(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.send("connection_init")

        assert await socket.end() == (4429, "Too many initialisation requests")


async def test_no_hello_in_time_closes_with_4408(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_S", 0.05)
    async with open_socket(base_url) as socket:
        assert await socket.end() == (4408, "Connection initialisation timeout")


async def test_pings_do_not_put_the_hello_off(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_an_id_that_is_in_use_closes_with_4409(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(ADDED, threadId=thread)
        await socket.subscribe(ADDED, threadId=thread)

        assert await socket.end() == (4409, "Subscriber for 1 already exists")


async def test_a_long_id_that_is_in_use_closes_with_a_reason_that_fits(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(ADDED, "\u00e9" * 200, threadId=thread)
        await socket.subscribe(ADDED, "\u00e9" * 200, threadId=thread)

        code, reason = await socket.end()
        assert (code, reason[:60][-15:]) == (4409, " already exists")


@pytest.mark.parametrize("payload", [{}, {"payload": {"a": [1, None]}}])
async def test_a_ping_is_answered_with_its_payload(base_url: str, payload: dict[str, Any]) -> None:
    async with socket_to(base_url) as socket:
        await socket.send("ping", **payload)

        assert await socket.receive() == {"type": "pong", **payload}


async def test_a_pong_is_taken_note_of(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.send("pong")
        await socket.send("ping")

        assert (await socket.receive())["type"] == "pong"


async def test_a_hello_may_bring_a_payload(base_url: str) -> None:
    async with open_socket(base_url) as socket:
        await socket.send("connection_init", payload={"authorization": "Bearer x"})

        assert (await socket.receive())["type"] == "connection_ack"


async def test_compression_is_not_agreed_on(base_url: str) -> None:
    async with socket_to(base_url, compression="deflate") as socket:
        assert socket.raw.protocol.extensions == []


async def test_a_query_is_answered_once_and_completed(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.subscribe("{ __typename }")

        assert [await socket.receive(), await socket.receive()] == [
            {"id": "1", "type": "next", "payload": {"data": {"__typename": "Query"}}},
            {"id": "1", "type": "complete"},
        ]


async def test_an_id_may_be_used_again_after_its_end(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        for _ in range(3):
            await socket.subscribe("{ __typename }")
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]


async def test_a_mutation_is_carried_out(inside: Inside) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe("mutation { createThread(input: {}) { thread { id } } }")

        made = (await socket.receive())["payload"]["data"]["createThread"]["thread"]["id"]

    assert await threads.get_many(inside.store, WHO, [made])


@pytest.mark.parametrize("query", ["{", "{ nothing }", "subscription { messageAdded { cursor } }", ""])
async def test_a_bad_document_is_an_error_of_its_operation_alone(base_url: str, query: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.subscribe(query)

        refused = await socket.receive()
        assert (refused["type"], refused["id"]) == ("error", "1")
        assert refused["payload"][0]["message"]
        await socket.send("ping")
        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize("payload", BAD_PARAMETERS.values(), ids=list(BAD_PARAMETERS))
async def test_bad_parameters_are_an_error_of_their_operation_alone(base_url: str, payload: dict[str, Any]) -> None:
    async with socket_to(base_url) as socket:
        await socket.send("subscribe", id="bad", payload=payload)
        refused = await socket.receive()
        await socket.subscribe("{ __typename }", "good")

        assert (refused["type"], refused["id"], len(refused["payload"])) == ("error", "bad", 1)
        assert await socket.receive() == {"id": "good", "type": "next", "payload": {"data": {"__typename": "Query"}}}


async def test_an_operation_goes_on_beside_one_with_bad_parameters(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(ADDED, "good", threadId=thread, after="0")
        await socket.send("subscribe", id="bad", payload={"variables": 1})
        assert (await socket.receive())["type"] == "error"
        await say(inside.store, WHO, thread, "heard")

        assert await socket.texts(1) == ["heard"]


async def test_a_frame_as_large_as_a_body_may_be_is_taken(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.raw.send(json.dumps({"type": "pong", "payload": {"a": "x" * (bounds.GRAPHQL_BODY.number - 100)}}))
        await socket.send("ping")

        assert await socket.receive() == {"type": "pong"}


async def test_a_larger_frame_closes_with_1009(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        with suppress(ConnectionClosed):  # before all of it was sent
            await socket.raw.send(" " * (bounds.GRAPHQL_BODY.number + 1))

        assert (await socket.end())[0] == 1009
