"""One request of each status class, asked of a served process over a socket, as its users do."""

from __future__ import annotations

import base64
import sqlite3
from typing import TYPE_CHECKING, Any, Final

import httpx
import openai
import pytest

from gateway.app import create_app_from_environment
from tests.live.inside import serving_inside
from tests.live.server import run_gateway, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HANDSHAKE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
}
_WITHOUT_KEY: Final = {"Authorization": ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep the database of the server."""
    return tmp_path_factory.mktemp("statuses")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    """Call a server that wants a key."""
    made = run_gateway("keys", "create", "--project", "default", "--scopes", "read,write", folder=folder)
    secret = next(word for word in made.stdout.split() if word.startswith("sk-"))
    with (
        serving(None, folder=folder) as server,
        httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {secret}"}) as http,
    ):
        yield http


def _error(answer: httpx.Response) -> Any:
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    return error


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("GET", "/v1/threads", {}, 200, id="a list"),
        pytest.param("GET", "/openapi.json", _WITHOUT_KEY, 200, id="the description"),
        pytest.param("GET", "/readyz", _WITHOUT_KEY, 200, id="a probe"),
        pytest.param("GET", "/", {"Accept": "text/html"}, 307, id="a browser at the root"),
    ],
)
def test_an_existing_path_is_answered(
    client: httpx.Client, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    assert client.request(method, path, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "message"),
    [
        pytest.param("GET", "/v1/threads?limit=0", {}, 400, "Invalid 'limit': integer below minimum", id="a bad value"),
        pytest.param("GET", "/v1/threads", _WITHOUT_KEY, 401, "", id="no key"),
        pytest.param("GET", "/v1/threads/thread_a", {}, 404, "No thread found with id 'thread_a'.", id="no thread"),
        pytest.param("GET", "/v1/files", {}, 404, "Invalid URL (GET /v1/files)", id="another resource"),
        pytest.param("GET", "/v1/files", _WITHOUT_KEY, 404, "Invalid URL", id="another resource, no key"),
        pytest.param("POST", "/v1/chat/completions", {}, 404, "Invalid URL (POST /v1/chat/completions)", id="models"),
        pytest.param("GET", "/favicon.ico", _WITHOUT_KEY, 404, "Invalid URL (GET /favicon.ico)", id="no face's path"),
        pytest.param("GET", "/graphiql/none.js", _WITHOUT_KEY, 404, "Invalid URL", id="no file of the page"),
        pytest.param("GET", "/graphql/more", _WITHOUT_KEY, 404, "Invalid URL", id="below GraphQL's path"),
        pytest.param("GET", "/v1/threads/thread_a/runs", {}, 404, "Runs are not served here", id="runs"),
        pytest.param("GET", "/v1/threads", _HANDSHAKE, 404, "no WebSocket is served here", id="a WebSocket at a list"),
        pytest.param("GET", "/nowhere", _HANDSHAKE, 404, "no WebSocket is served here", id="a WebSocket at no path"),
        pytest.param("PATCH", "/v1/threads", {}, 405, "Invalid method for URL (PATCH /v1/threads)", id="a list"),
        pytest.param("POST", "/openapi.json", {}, 405, "Invalid method for URL (POST /openapi.json)", id="a document"),
        pytest.param("DELETE", "/healthz", {}, 405, "Invalid method for URL (DELETE /healthz)", id="a probe"),
        pytest.param("POST", "/", {}, 405, "Invalid method for URL (POST /)", id="the root"),
    ],
)
def test_a_refusal_is_the_envelope(
    client: httpx.Client, method: str, path: str, headers: dict[str, str], status: int, message: str
) -> None:
    answer = client.request(method, path, headers=headers)

    assert (answer.status_code, message in _error(answer)["message"]) == (status, True)


def test_a_body_that_is_too_large_is_refused_in_the_envelope(client: httpx.Client) -> None:
    answer = client.post("/v1/threads", content=b" " * (4 * 1024 * 1024 + 1))

    assert (answer.status_code, _error(answer)["code"]) == (413, "body_too_large")


def test_an_sdk_shows_why_a_resource_is_not_served(client: httpx.Client) -> None:
    sdk = openai.OpenAI(base_url=str(client.base_url.join("/v1")), api_key=client.headers["Authorization"].split()[1])

    with pytest.raises(openai.NotFoundError, match=r"Invalid URL \(GET /v1/models\)"):
        sdk.models.list()


def test_an_internal_error_has_the_error_envelope(client: httpx.Client, folder: Path) -> None:
    thread_id = client.post("/v1/threads", json={"messages": [{"role": "user", "content": "x"}]}).json()["id"]
    with sqlite3.connect(folder / "gateway.db") as database:
        database.execute("UPDATE threads SET tool_resources = '{' WHERE id = ?", (thread_id,))
    database.close()

    answer = client.get(f"/v1/threads/{thread_id}")

    assert (answer.status_code, _error(answer)["type"]) == (500, "server_error")


async def test_a_user_is_served_by_the_same_kind_of_callable_as_a_test(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", sqlite_url)

    async with serving_inside(sqlite_url) as server:
        assert type(server.app) is type(create_app_from_environment())
