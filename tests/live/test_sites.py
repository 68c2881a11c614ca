"""Hosts, origins and proxies as an operator sets them, seen on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.live.server import PATIENCE_S, run_gateway, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.live.server import Server

APP: Final = "https://app.example.com"
PREVIEW: Final = "https://pr-7.preview.example.com"
ALLOWED: Final = "https://app.example.com:443,http://localhost:80,https://*.preview.example.com"
BY_TLS: Final = {"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve behind a proxy of this machine, to the pages of some origins."""
    given = {
        "GATEWAY_CORS_ORIGINS": ALLOWED,
        "GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8,127.0.0.1",
        "GATEWAY_INSECURE_OPEN": "true",
    }
    with serving(None, folder=tmp_path_factory.mktemp("sites"), given=given) as running:
        yield running


@pytest.fixture(scope="module")
def trusting_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve where uvicorn's own variable would trust everybody."""
    with serving(None, folder=tmp_path_factory.mktemp("alone"), given={"FORWARDED_ALLOW_IPS": "*"}) as running:
        yield running


def told_to_stay_with_tls(server: Server) -> str | None:
    headers = httpx.get(f"{server.base_url}/v1/threads", headers=BY_TLS, timeout=PATIENCE_S).headers
    told: str | None = headers.get("strict-transport-security")
    return told


def open_socket(server: Server, origin: str) -> connect:
    url = server.base_url.replace("http", "ws") + "/graphql"
    return connect(url, subprotocols=["graphql-transport-ws"], additional_headers={"origin": origin})  # type: ignore[list-item]


async def close_code_of(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    return socket.close_code


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        pytest.param(APP, 200, id="written with the default port of https"),
        pytest.param("http://localhost", 200, id="written with the default port of http"),
        pytest.param(PREVIEW, 200, id="a subdomain"),
        pytest.param("https://preview.example.com", 403, id="the parent itself"),
        pytest.param("http://pr-7.preview.example.com", 403, id="a subdomain by another scheme"),
        pytest.param("http://localhost:8080", 403, id="another port"),
    ],
)
def test_an_origin_is_compared_as_browsers_serialize_it(server: Server, origin: str, status: int) -> None:
    answer = httpx.post(f"{server.base_url}/v1/threads", headers={"origin": origin}, timeout=PATIENCE_S)

    assert answer.status_code == status
    assert answer.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
    assert answer.headers["vary"] == "origin"


def test_the_cors_response_repeats_the_origin_of_the_subdomain(server: Server) -> None:
    asked = {"origin": PREVIEW, "access-control-request-method": "POST"}

    answer = httpx.options(f"{server.base_url}/graphql", headers=asked, timeout=PATIENCE_S)

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, PREVIEW)


def test_a_trusted_proxy_can_declare_that_a_request_used_tls(server: Server) -> None:
    assert told_to_stay_with_tls(server) == "max-age=31536000"


def test_only_trusted_proxies_can_declare_tls(trusting_nobody: Server) -> None:
    assert told_to_stay_with_tls(trusting_nobody) is None


def test_behind_a_proxy_a_server_without_keys_is_refused(tmp_path: Path) -> None:
    ran = run_gateway("serve", "--port", "0", "--trusted-proxies", "127.0.0.1", folder=tmp_path)

    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: GATEWAY_TRUSTED_PROXIES: through a proxy it is reachable from other machines")


def test_a_local_server_refuses_other_host_names(server: Server) -> None:
    headers = {"host": f"rebound.example:{server.port}"}

    answer = httpx.get(f"{server.base_url}/v1/threads", headers=headers, timeout=PATIENCE_S)

    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "unknown_host")


async def test_a_websocket_to_an_unknown_host_name_is_refused(server: Server) -> None:
    uri = f"ws://rebound.example:{server.port}/graphql"

    with pytest.raises(InvalidStatus) as refused:
        await connect(uri, host="127.0.0.1", port=server.port, proxy=None)

    assert refused.value.response.status_code == 421
    assert b"unknown_host" in refused.value.response.body


@pytest.mark.parametrize("origin", [APP, PREVIEW])
async def test_a_websocket_of_an_allowed_origin_stays_open(server: Server, origin: str) -> None:
    async with open_socket(server, origin) as socket:
        await socket.send('{"type": "connection_init"}')

        assert await socket.recv() == '{"type":"connection_ack"}'


async def test_a_websocket_from_any_other_page_is_closed_with_4403(server: Server) -> None:
    async with open_socket(server, "http://app.example.com") as socket:
        assert await close_code_of(socket) == 4403
