"""The gateway behind nginx with TLS, by the configuration that we hand out: both faces, streams and WebSockets."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import openai
import pytest

from gateway.graphql.transport.explorer import BUILT
from gateway.web.body import MAX_BODY
from tests.following import PATIENCE_S
from tests.lacking import program
from tests.live.server import serving
from tests.live.subscribing import ADDED, socket_to, stream_of
from tests.nginx import NAME, Behind, framed, nginx_before
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """Serve behind nginx."""
    folder = tmp_path_factory.mktemp("nginx")
    given = {
        "GATEWAY_HOSTS": f"{NAME},localhost",
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
        "GATEWAY_INSECURE_OPEN": "true",
    }
    with serving(None, folder=folder, given=given) as server, nginx_before(folder, server.port) as nginx:
        yield nginx


def test_nginx_understands_every_line(tmp_path: Path) -> None:
    file = framed(tmp_path, free_port(), free_port(), free_port())

    command: list[str | Path] = [program("nginx"), "-t", "-e", "stderr", "-p", tmp_path, "-c", file]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert "[warn]" not in ran.stderr


async def test_an_sdk_works_by_tls(behind: Behind) -> None:
    http = openai.DefaultAsyncHttpxClient(verify=behind.tls)
    async with openai.AsyncOpenAI(
        base_url=f"https://localhost:{behind.port}/v1", api_key="any", http_client=http
    ) as sdk:
        with pytest.warns(DeprecationWarning, match="Assistants"):
            made = await sdk.beta.threads.create(metadata={"by": "tls"})
        with pytest.warns(DeprecationWarning, match="Assistants"):
            found = await sdk.beta.threads.retrieve(made.id)

    assert found.metadata == {"by": "tls"}


async def test_the_gateway_detects_tls_at_the_proxy(behind: Behind) -> None:
    async with behind.client() as http:
        answer = await http.get("/v1/threads", headers={"x-forwarded-proto": "http"})

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_the_largest_body_passes_the_proxy(behind: Behind) -> None:
    async with behind.client() as http:
        answer = await http.post("/v1/threads", content=b"{}".ljust(MAX_BODY))

    assert answer.status_code == 200


async def test_a_plain_request_is_redirected_to_tls(behind: Behind) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"http://127.0.0.1:{behind.plain_port}/v1/threads?a=1", headers={"host": NAME})

    assert (answer.status_code, answer.headers["location"]) == (308, f"https://{NAME}/v1/threads?a=1")


@pytest.mark.parametrize("name", ["other.example.com", "threads.example.com.evil.example", "127.0.0.1", ""])
async def test_the_plain_port_refuses_other_host_names(behind: Behind, name: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", behind.plain_port)
    host = f"Host: {name}\r\n" if name else ""
    writer.write(f"GET / HTTP/1.{1 if name else 0}\r\n{host}\r\n".encode())

    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def test_the_tls_port_refuses_other_host_names(behind: Behind) -> None:
    async with behind.client() as http:
        answer = await http.get("/v1/threads", headers={"host": "other.example.com"})

    assert (answer.status_code, "data" in answer.json()) == (421, False)


@pytest.mark.parametrize("protocol", ["h2c", "x", "websocket", "WebSocket, x"])
async def test_only_a_websocket_is_an_upgrade(behind: Behind, protocol: str) -> None:
    headers = {"connection": "upgrade", "upgrade": protocol}
    async with behind.client() as http:
        answer = await http.post("/v1/threads", json={"metadata": {"of": "me"}}, headers=headers)

    assert answer.json()["metadata"] == {"of": "me"}


async def test_the_upgrade_header_is_case_insensitive(behind: Behind) -> None:
    reader, writer = await asyncio.open_connection("localhost", behind.port, ssl=behind.tls)
    lines = ("Host: localhost", "Connection: upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    writer.write("\r\n".join(["GET /graphql HTTP/1.1", *lines, key, "", ""]).encode())

    assert (await asyncio.wait_for(reader.readline(), PATIENCE_S)).startswith(b"HTTP/1.1 101 ")
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def test_a_websocket_and_a_stream_receive_at_once(behind: Behind) -> None:
    async with behind.client() as http, socket_to(str(http.base_url).rstrip("/"), ssl=behind.tls) as follower:
        thread_id = (await http.post("/v1/threads")).json()["id"]
        await follower.subscribe(ADDED, threadId=thread_id, after="0")
        async with stream_of(http, ADDED, threadId=thread_id, after="0") as events:
            await http.post(f"/v1/threads/{thread_id}/messages", json={"role": "user", "content": "now"})

            assert await follower.texts(1) == ["now"]
            assert (await anext(events)).data["data"]["messageAdded"]["node"]["text"] == "now"


@pytest.mark.parametrize(
    ("path", "accept", "is_compressed"),
    [
        pytest.param("/v1/threads", "application/json", False, id="REST"),
        pytest.param("/graphql?query={__typename}", "application/json", False, id="GraphQL"),
        pytest.param("/graphql?query={__typename}", "text/event-stream", False, id="a stream"),
        pytest.param("/graphql/assets/{}", "*/*", True, id="a file of GraphiQL"),
    ],
)
async def test_responses_with_secrets_are_never_compressed(
    behind: Behind, path: str, accept: str, *, is_compressed: bool
) -> None:
    scripts = sorted(each.name for each in (BUILT / "assets").glob("main-*.js"))
    if is_compressed and not scripts:
        pytest.skip("GraphiQL was not built in this checkout")
    headers = {"accept": accept, "accept-encoding": "gzip", "graphql-require-preflight": "1"}
    async with behind.client() as http:
        answer = await http.get(path.format(*scripts) if is_compressed else path, headers=headers)

    assert answer.status_code == 200
    assert answer.headers.get("content-encoding") == ("gzip" if is_compressed else None)
    assert ("accept-encoding" in answer.headers.get("vary", "").lower()) is is_compressed
