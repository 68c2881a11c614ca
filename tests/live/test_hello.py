"""What a client may send before it has said hello, which nobody knows yet: little, and nothing of it comes back."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from gateway.domain import bounds
from tests.live.server import serving
from tests.live.subscribing import open_socket, socket_to

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.domain.bounds import Bound

MARK: Final = "4d2f9b"  # stands in all that is sent
BEFORE: Final[dict[str, str | bytes]] = {
    "no JSON": MARK,
    "half of JSON": '{"type": "' + MARK,
    "a bare string": f'"{MARK}"',
    "an unknown type": json.dumps({"type": MARK}),
    "a long type": json.dumps({"type": MARK * 5_000}),
    "an object for a type": json.dumps({"type": {MARK: MARK}}),
    "a payload that is no object": json.dumps({"type": "connection_init", "payload": MARK}),
    "a key for the server that is none": json.dumps({"type": "connection_init", "payload": {"token": MARK}, MARK: 1}),
    "a ping": json.dumps({"type": "ping", "payload": {MARK: [MARK]}}),
    "an operation": json.dumps({"type": "subscribe", "id": MARK, "payload": {"query": MARK}}),
    "an end": json.dumps({"type": "complete", "id": MARK}),
    "many values": "[" + f'"{MARK}",' * 5_000 + "1]",
    "many levels": f'["{MARK}",' * 2_000,
    "no UTF-8": b'"\xff' + MARK.encode(),
}


def hello(size: int) -> str:
    empty = json.dumps({"type": "connection_init", "payload": {"a": ""}})
    return json.dumps({"type": "connection_init", "payload": {"a": "x" * (size - len(empty))}})


async def test_a_connection_init_of_the_largest_size_is_accepted(base_url: str) -> None:
    async with open_socket(base_url) as socket:
        await socket.raw.send(hello(bounds.HELLO.number))

        assert await socket.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_longer_one_closes_with_the_code_of_the_bound(base_url: str, pieces: int) -> None:
    text = hello(bounds.HELLO.number + 1)
    size = len(text) // pieces + 1
    async with open_socket(base_url) as socket:
        with suppress(ConnectionClosed):  # before all of it was sent
            await socket.raw.send(text[at : at + size] for at in range(0, len(text), size))

        assert (await socket.end())[0] == int(bounds.HELLO.code)


async def test_after_connection_init_a_message_may_have_the_size_of_a_body(base_url: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.raw.send(json.dumps({"type": "pong", "payload": {"a": "x" * (bounds.GRAPHQL_BODY.number - 100)}}))
        await socket.send("ping")

        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (bounds.JSON_VALUES, '{"type":"pong","payload":{"a":[' + "1," * bounds.JSON_VALUES.number + "1]}}"),
        (bounds.JSON_DEPTH, '{"type":"pong","payload":' + '{"a":' * 200 + "1" + "}" * 201),
    ],
)
async def test_after_it_too_many_values_or_levels_close_with_4400(base_url: str, bound: Bound, text: str) -> None:
    async with socket_to(base_url) as socket:
        await socket.raw.send(text)

        code, reason = await socket.end()
        assert code == 4400
        assert str(bound.number) in reason


@pytest.mark.parametrize("name", BEFORE)
async def test_messages_before_connection_init_are_not_echoed(
    base_url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    async with open_socket(base_url) as socket:
        await socket.raw.send(BEFORE[name], text=True)
        await socket.send("connection_init")
        await socket.send("connection_init")  # the second ends the connection, if nothing has before
        with suppress(ConnectionClosed):
            while True:
                told.append(str(await socket.raw.recv()))
        told.append((await socket.end())[1])

    assert told
    assert not any(MARK in each for each in (*told, caplog.text))


@pytest.mark.parametrize("pieces", [[b'"\xff"'], [b'"\xf0\x9f', b'\x9f"']], ids=["whole", "in pieces"])
async def test_text_that_is_no_utf8_closes_with_1007_and_is_no_error_of_the_log(
    tmp_path: Path, pieces: list[bytes]
) -> None:
    with serving(None, folder=tmp_path) as server:
        async with open_socket(server.base_url) as socket:
            await socket.raw.send(pieces, text=True)
            closed = await socket.end()
        server.stop()

    assert closed[0] == CloseCode.INVALID_DATA
    assert "Traceback" not in server.stderr
