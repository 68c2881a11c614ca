"""Clients that are not the SDKs: what each is known to send, byte by byte."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.server import PATIENCE_S, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.live.server import Server

JSON = {"Content-Type": "application/json"}
BETA = {"OpenAI-Beta": "assistants=v2"}


class Raw:
    """One connection; nothing is sent but what a test says, and what HTTP/1.1 needs."""

    def __init__(self, server: Server) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)

    def __call__(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        raw = None if body is None else json.dumps(body).encode()
        self.connection.request(method, path, raw, dict(headers or {}))
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def new_thread(self) -> str:
        _, thread = self("POST", "/v1/threads", {}, JSON)
        thread_id: str = thread["id"]
        return thread_id


@pytest.fixture
def raw(live_server: Server) -> Iterator[Raw]:
    client = Raw(live_server)
    with closing(client.connection):
        yield client


def test_dotnet_makes_a_thread_with_an_empty_body_of_no_type(raw: Raw) -> None:
    raw.connection.putrequest("POST", "/v1/threads", skip_accept_encoding=True)
    for name, value in {**BETA, "Content-Length": "0", "User-Agent": "OpenAI/2.5.0 (.NET 9.0.0)"}.items():
        raw.connection.putheader(name, value)
    raw.connection.endheaders()

    answer = raw.connection.getresponse()

    assert answer.status == 200
    assert json.loads(answer.read())["object"] == "thread"


def test_rubys_content_type_without_a_body_is_accepted(raw: Raw) -> None:
    path = f"/v1/threads/{raw.new_thread()}"

    answers = [raw(method, path, headers={**JSON, **BETA})[0] for method in ("GET", "DELETE")]

    assert answers == [200, 200]


def test_a_client_that_forgets_the_beta_header_is_served(raw: Raw) -> None:
    path = f"/v1/threads/{raw.new_thread()}/messages"

    status, _ = raw("POST", path, {"role": "user", "content": "hi"}, JSON)

    assert status == 200


def test_a_percent_encoded_id_is_the_same_id(raw: Raw) -> None:
    thread_id = raw.new_thread()
    encoded = "".join(f"%{ord(letter):02X}" for letter in thread_id)

    status, thread = raw("GET", f"/v1/threads/{encoded}")

    assert (status, thread["id"]) == (200, thread_id)


@pytest.mark.parametrize("encoded", ["thread_%00", "thread_%FF%FE", "thread_%2E%2E", "thread_%0D%0Ax", "thread_%25"])
def test_an_id_with_invalid_characters_is_not_found(raw: Raw, encoded: str) -> None:
    status, refusal = raw("GET", f"/v1/threads/{encoded}")

    assert (status, refusal["error"]["type"]) == (404, "invalid_request_error")


def test_the_id_undefined_differs_from_an_unknown_id(raw: Raw) -> None:
    status, refusal = raw("GET", "/v1/threads/undefined")

    assert (status, refusal["error"]["param"]) == (400, "thread_id")


def test_an_empty_id_is_read_like_the_original_did(raw: Raw) -> None:
    status, refusal = raw("POST", "/v1/threads//messages", {"role": "user", "content": "hi"}, JSON)

    assert (status, refusal["error"]["message"]) == (400, "Unknown parameter: 'role'.")


def test_one_connection_serves_many_requests(raw: Raw) -> None:
    path = f"/v1/threads/{raw.new_thread()}/messages"
    used = raw.connection.sock

    answers = [raw("POST", path, {"role": "user", "content": str(n)}, JSON)[0] for n in range(100)]

    assert answers == [200] * 100
    assert raw.connection.sock is used  # http.client opens another one where the server closes the first


def test_a_body_in_chunks_is_read_whole(raw: Raw) -> None:
    body = json.dumps({"metadata": {"from": "chunks"}}).encode()

    raw.connection.request("POST", "/v1/threads", (body[n : n + 5] for n in range(0, len(body), 5)), JSON)

    assert json.loads(raw.connection.getresponse().read())["metadata"] == {"from": "chunks"}


def test_disconnected_clients_release_all_resources(database_url: str, tmp_path: Path) -> None:
    whole = {"/v1/threads": b"{}", "/graphql": b'{"query": "{ threads { nodes { id } } }"}'}
    before_the_answer = [(path, len(body), body) for path, body in whole.items()] * 10
    within_the_body = [(path, 1000, body[:-1]) for path, body in whole.items()]
    with serving(database_url, folder=tmp_path) as server:
        for path, length, sent in before_the_answer + within_the_body:
            for has_manners in (True, False):
                with socket.create_connection(("127.0.0.1", server.port)) as connection:
                    connection.sendall(_head(path, length) + sent)
                    if not has_manners:  # closing with unsent time left is a reset, as when a program dies
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with closing(Raw(server).connection) as other:
            other.request("POST", "/v1/threads")
            assert other.getresponse().status == 200
        server.stop()

    assert "Traceback" not in server.stderr
    assert '"level":"error"' not in server.stderr


def _head(path: str, length: int) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {length}")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
