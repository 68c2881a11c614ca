"""Failed authentication is limited by address; a valid credential is always accepted."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import httpx
import pytest

from tests.live.server import PATIENCE_S, run_here, serving
from tests.live.subscribing import open_socket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.live.server import Server

ALLOWED: Final = 5  # a day: windows begin with the clock, and a test that runs as an hour ends is let once more
MANY: Final = 9
WRONG: Final = {"authorization": "Bearer sk-gw-wrong"}
EXPECTED: Final = [401] * ALLOWED + [429] * (MANY - ALLOWED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failed")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    given = {
        "GATEWAY_RATE_FAILED_AUTH": f"{ALLOWED}/day",
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
        "GATEWAY_INSECURE_OPEN": "true",
        "GATEWAY_TOKEN_SECRET": "a secret of at least thirty-two characters",
        "GATEWAY_JWT_SECRET": "another secret of at least thirty-two characters",
        "GATEWAY_JWT_ISSUER": "https://issuer.example",
        "GATEWAY_JWT_AUDIENCE": "threads",
    }
    with serving(f"sqlite:///{folder}/threads.db", folder=folder, given=given) as served:
        yield served


@pytest.fixture(scope="module")
def secret(server: Server, folder: Path) -> str:
    assert server.port
    made = run_here("keys", "create", "--database-url", f"sqlite:///{folder}/threads.db", folder=folder)
    return made.stdout.strip()


@pytest.fixture
def http(server: Server, secret: str) -> Iterator[httpx.Client]:
    assert secret
    with httpx.Client(base_url=server.base_url, timeout=PATIENCE_S) as client:
        yield client


def as_from(address: str, **headers: str) -> dict[str, str]:
    return {"x-forwarded-for": address, **headers}


def ask(http: httpx.Client, address: str, path: str, headers: dict[str, str]) -> httpx.Response:
    given = {**headers, "x-forwarded-for": address}
    if path == "/graphql":
        return http.post(path, json={"query": "{ __typename }"}, headers=given)
    return http.get(path, headers=given)


@pytest.mark.parametrize(
    ("address", "path", "headers"),
    [
        pytest.param("192.0.2.1", "/v1/threads", WRONG, id="REST"),
        pytest.param("192.0.2.2", "/graphql", WRONG, id="GraphQL"),
        pytest.param("192.0.2.3", "/graphql", {**WRONG, "accept": "text/event-stream"}, id="SSE"),
        pytest.param("192.0.2.4", "/v1/threads", {}, id="no key at all"),
        pytest.param("192.0.2.5", "/v1/threads", {"api-key": "eyJhbGciOiJIUzI1NiJ9.e30.x"}, id="a wrong JWT"),
        pytest.param("192.0.2.6", "/v1/threads", {"api-key": "tt-wrong"}, id="a wrong thread token"),
    ],
)
def test_failures_are_limited_by_address(http: httpx.Client, address: str, path: str, headers: dict[str, str]) -> None:
    answers = [ask(http, address, path, headers) for _ in range(MANY)]

    assert [answer.status_code for answer in answers] == EXPECTED
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 86_400
    said = answers[-1].json()
    error = said["error"] if path != "/graphql" else said["errors"][0]["extensions"] | said["errors"][0]
    assert error["code"] == "rate_limit_exceeded"
    assert error["message"].startswith("Too many requests from your address")


def test_a_valid_credential_is_never_refused_by_it(http: httpx.Client, secret: str) -> None:
    address = "192.0.2.20"
    for _ in range(MANY):
        ask(http, address, "/v1/threads", WRONG)
    good = {"authorization": f"Bearer {secret}"}

    answers = [ask(http, address, path, good) for path in ("/v1/threads", "/graphql") for _ in range(MANY)]
    other = ask(http, "192.0.2.21", "/v1/threads", WRONG)

    assert {answer.status_code for answer in answers} == {200}
    assert other.status_code == 401  # nobody else is counted with it


def test_one_network_of_ipv6_is_one_address(http: httpx.Client) -> None:
    answers = [ask(http, f"2001:db8:1:2::{n:x}", "/v1/threads", WRONG) for n in range(MANY)]
    beside = ask(http, "2001:db8:1:3::1", "/v1/threads", WRONG)

    assert [answer.status_code for answer in answers] == EXPECTED
    assert beside.status_code == 401


async def test_a_websocket_is_closed_with_the_same_reason(server: Server, secret: str) -> None:
    async def end_of(headers: dict[str, str]) -> Any:
        async with open_socket(server.base_url, additional_headers=as_from("192.0.2.30")) as socket:
            await socket.send("connection_init", payload=headers)
            return await socket.end()

    ends = [await end_of(WRONG) for _ in range(MANY)]

    assert [code for code, _ in ends] == [4403] * ALLOWED + [4429] * (MANY - ALLOWED)
    assert ends[-1][1].startswith("Too many requests")
    async with open_socket(server.base_url, additional_headers=as_from("192.0.2.30")) as socket:
        await socket.send("connection_init", payload={"authorization": f"Bearer {secret}"})
        assert await socket.receive() == {"type": "connection_ack"}


def test_a_request_after_an_early_refusal_keeps_its_headers(server: Server) -> None:
    head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as raw, raw.makefile("rb") as answers:
        raw.sendall(head.encode())
        first = answers.readline()
        _read_rest(answers)
        raw.sendall(b"{}" + head.encode())
        second = answers.readline()

    assert (first.split()[1], second.split()[1]) == (b"401", b"401")  # and not 421, for want of a host


def _read_rest(answers: BinaryIO) -> None:
    length = 0
    while (line := answers.readline().lower()) not in (b"\r\n", b""):
        if line.startswith(b"content-length:"):
            length = int(line.split()[1])
    answers.read(length)
