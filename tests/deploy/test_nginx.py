"""The gateway behind nginx with TLS, by the configuration that we hand out: both faces, streams and WebSockets."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
import openai
import pytest

from gateway.web.limits import MAX_BODY
from tests.following import PATIENCE_S
from tests.lacking import program
from tests.live.server import ROOT, serving
from tests.live.subscribing import ADDED, socket_to, stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONF: Final = ROOT / "deploy" / "nginx.conf"
NAME: Final = "threads.example.com"
FRAME: Final = """
{user}
daemon off;
pid {folder}/pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{conf}
}}
"""


@dataclass(frozen=True)
class Behind:
    """What stands in front of a gateway."""

    port: int
    plain_port: int
    tls: ssl.SSLContext

    def client(self) -> httpx.AsyncClient:
        """Call it by TLS."""
        return httpx.AsyncClient(base_url=f"https://localhost:{self.port}", verify=self.tls, timeout=PATIENCE_S)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine's name, and its key."""
    made, key = folder / "fullchain.pem", folder / "privkey.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    command = (program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


def framed(folder: Path, port: int, plain_port: int, upstream: int) -> Path:
    """Put our configuration where a machine's own would include it, with its ports and files exchanged."""
    made, key = certificate(folder)
    conf = CONF.read_text()
    for place, ours in {
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        f"/etc/letsencrypt/live/{NAME}/fullchain.pem": str(made),
        f"/etc/letsencrypt/live/{NAME}/privkey.pem": str(key),
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
    }.items():
        assert conf.count(place) == 1
        conf = conf.replace(place, ours)
    conf = re.sub(r" *listen \[::\].*\n", "", conf)  # a machine may have no IPv6
    file = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # pytest's folders are closed to all others
    file.write_text(FRAME.format(user=user, folder=folder, conf=conf))
    return file


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """Serve behind nginx."""
    nginx = program("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    given = {
        "GATEWAY_HOSTS": f"{NAME},localhost",
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
        "GATEWAY_INSECURE_OPEN": "true",
    }
    with serving(None, folder=folder, given=given) as server:
        port, plain_port = free_port(), free_port()
        file = framed(folder, port, plain_port, server.port)
        with subprocess.Popen([nginx, "-e", "stderr", "-p", folder, "-c", file]) as process:
            wait_for(port)
            yield Behind(port, plain_port, ssl.create_default_context(cafile=str(folder / "fullchain.pem")))
            process.terminate()


def wait_for(port: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
        except ConnectionError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("nginx does not listen")


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


async def test_the_gateway_knows_that_it_was_asked_by_tls(behind: Behind) -> None:
    async with behind.client() as http:
        answer = await http.get("/v1/threads", headers={"x-forwarded-proto": "http"})

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_the_largest_body_comes_through(behind: Behind) -> None:
    async with behind.client() as http:
        answer = await http.post("/v1/threads", content=b"{}".ljust(MAX_BODY))

    assert answer.status_code == 200


async def test_who_asks_without_tls_is_led_to_it(behind: Behind) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"http://127.0.0.1:{behind.plain_port}/v1/threads?a=1", headers={"host": NAME})

    assert (answer.status_code, answer.headers["location"]) == (308, f"https://{NAME}/v1/threads?a=1")


async def test_a_websocket_and_a_stream_hear_at_once(behind: Behind) -> None:
    async with behind.client() as http, socket_to(str(http.base_url).rstrip("/"), ssl=behind.tls) as follower:
        thread_id = (await http.post("/v1/threads")).json()["id"]
        await follower.subscribe(ADDED, threadId=thread_id, after="0")
        async with stream_of(http, ADDED, threadId=thread_id, after="0") as events:
            await http.post(f"/v1/threads/{thread_id}/messages", json={"role": "user", "content": "now"})

            assert await follower.texts(1) == ["now"]
            assert (await anext(events)).data["data"]["messageAdded"]["node"]["text"] == "now"
