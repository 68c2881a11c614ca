"""Keys as their people meet them: the operator at the command line, SDKs, browsers that follow."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import jwt
import openai
import pytest

from tests.live.server import PATIENCE_S, Server, run_gateway, run_here, serving
from tests.live.subscribing import ADDED, open_socket, stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

pytestmark = pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning")

SECRET = "only for these tests, and long enough"  # noqa: S105
USERS = {
    "GATEWAY_JWT_SECRET": SECRET,
    "GATEWAY_JWT_ISSUER": "https://id.example.com",
    "GATEWAY_JWT_AUDIENCE": "threads",
    "GATEWAY_TOKEN_SECRET": SECRET[::-1],
}
MINT: Final = """
mutation($threadId: ID!, $access: ThreadAccess!) {
  createThreadToken(input: {threadId: $threadId, access: $access}) { token expiresAt }
}"""


class Operator:
    """Somebody at the command line of one database."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._database_url = database_url
        self._folder = folder

    def __call__(self, *arguments: str) -> CompletedProcess[str]:
        return run_gateway("keys", *arguments, "--database-url", self._database_url, folder=self._folder)

    def new_key(self, *arguments: str) -> tuple[str, str]:
        """Make a key, and give its id and its secret."""
        ran = self("create", *arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stderr.partition(":")[0], ran.stdout.removesuffix("\n")


@pytest.fixture
def operator(database_url: str, tmp_path: Path) -> Operator:
    return Operator(database_url, tmp_path)


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Server]:
    with serving(database_url, folder=tmp_path, given={"GATEWAY_TOKEN_SECRET": SECRET}) as running:
        yield running


def sdk(server: Server, api_key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.base_url}/v1", api_key=api_key, max_retries=0, timeout=PATIENCE_S)


def status_with(server: Server, headers: dict[str, str], path: str = "/v1/threads") -> int:
    return httpx.get(server.base_url + path, headers=headers, timeout=PATIENCE_S).status_code


def until_status(server: Server, headers: dict[str, str], status: int) -> None:
    """Ask until it is answered with a status."""
    end = time.monotonic() + PATIENCE_S
    while status_with(server, headers) != status:
        assert time.monotonic() < end


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_a_running_server_requires_a_key_once_the_first_is_created(server: Server, operator: Operator) -> None:
    sdk(server, "any").beta.threads.create()

    _, secret = operator.new_key()
    until_status(server, {}, 401)

    assert re.fullmatch(r"sk-[A-Za-z0-9]{43}", secret)
    assert status_with(server, bearer(secret)) == 200
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided: sk-wrong"):
        sdk(server, "sk-wrong").beta.threads.create()
    assert status_with(server, {"api-key": secret}, "/openai/threads?api-version=2024-05-01-preview") == 200


def test_a_revoked_key_is_rejected_and_its_followers_disconnected(server: Server, operator: Operator) -> None:
    key_id, secret = operator.new_key("--project", "shop", "--name", "the web shop", "--expires", "90d")
    _, other = operator.new_key("--project", "shop")
    thread_id = sdk(server, secret).beta.threads.create(messages=[{"role": "user", "content": "hi"}]).id

    ends = asyncio.run(_followers_of(server, thread_id, secret, lambda: operator("revoke", key_id)))

    assert ends == {"websocket": (4403, "Forbidden: the credential is no longer valid"), "events": []}
    until_status(server, bearer(secret), 401)
    assert status_with(server, bearer(other)) == 200
    listed = operator("list").stdout
    assert re.search(rf"{key_id} +shop +read,write +the web shop +{secret[-4:]} .* revoked", listed)
    assert secret not in listed


async def _followers_of(server: Server, thread_id: str, secret: str, end: Any) -> dict[str, Any]:
    """Follow over both transports until that which is done meanwhile has sent both away."""
    async with (
        open_socket(server.base_url) as socket,
        httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S, headers=bearer(secret)) as http,
        stream_of(http, ADDED, threadId=thread_id, after="0") as events,
    ):
        await socket.send("connection_init", payload={"Authorization": f"Bearer {secret}"})
        assert await socket.receive() == {"type": "connection_ack"}
        await socket.subscribe(ADDED, threadId=thread_id, after="0")
        assert await socket.texts(1) == ["hi"]
        await anext(events)
        await asyncio.to_thread(end)
        closed = await socket.end()
        async with asyncio.timeout(PATIENCE_S):
            return {"websocket": closed, "events": [each async for each in events]}


def test_a_websocket_without_a_good_key_is_closed_with_4403(server: Server, operator: Operator) -> None:
    operator.new_key()
    until_status(server, {}, 401)

    async def close_code(payload: dict[str, Any]) -> tuple[int, str]:
        async with open_socket(server.base_url) as socket:
            await socket.send("connection_init", payload=payload)
            return await socket.end()

    code, reason = asyncio.run(close_code({"apiKey": "sk-wrong"}))
    long_code, long_reason = asyncio.run(close_code({"apiKey": "sk-" + "w" * 200}))
    no_code, no_reason = asyncio.run(close_code({}))

    assert (code, long_code, no_code) == (4403, 4403, 4403)
    assert reason[:55] == "Forbidden: Incorrect API key provided: sk-wrong. You ca"
    assert long_reason.startswith("Forbidden: Incorrect API key provided: sk-wwwww***")
    assert long_reason.endswith(" ...")
    assert no_reason.startswith("Forbidden: API key required: send Authorization: Bearer ")


def test_rotating_a_key_creates_its_successor(server: Server, operator: Operator) -> None:
    key_id, secret = operator.new_key("--scopes", "read")

    second = operator("rotate", key_id)
    third = operator("rotate", second.stderr.partition(":")[0], "--grace", "1h")

    until_status(server, bearer(secret), 401)
    secrets = [ran.stdout.removesuffix("\n") for ran in (second, third)]
    assert [status_with(server, bearer(each)) for each in secrets] == [200, 200]
    with pytest.raises(openai.PermissionDeniedError) as refused:
        sdk(server, secrets[1]).beta.threads.create()
    assert refused.value.code == "missing_scope"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "--project", "My Shop"), "Error: Invalid 'project': 'My Shop'. Expected"),
        (
            ("create", "--scopes", "admin"),
            "Error: Invalid value: 'admin'. Supported values are: 'erase', 'read', 'runs', and 'write'.",
        ),
        (
            ("create", "--expires", "soon"),
            "Error: Invalid 'expires': 'soon'. Expected a whole number followed by s, m, h or d",
        ),
        (("revoke", "key_unknown"), "Error: No key found with id 'key_unknown'."),
        (("rotate", "key_unknown"), "Error: No key found with id 'key_unknown'."),
    ],
)
def test_a_failed_keys_command_prints_one_message(
    sqlite_url: str, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = run_here("keys", *arguments, "--database-url", sqlite_url, folder=tmp_path)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(message)
    assert "Traceback" not in ran.stderr


def test_without_a_key_other_machines_are_not_served(sqlite_url: str, tmp_path: Path) -> None:
    ran = run_gateway("serve", "--host", "0.0.0.0", "--port", "0", "--database-url", sqlite_url, folder=tmp_path)  # noqa: S104

    assert ran.returncode == 1
    assert "Create one first: gateway keys create" in ran.stderr


def test_with_a_key_other_machines_are_served(sqlite_url: str, tmp_path: Path) -> None:
    _, secret = Operator(sqlite_url, tmp_path).new_key()

    with serving(sqlite_url, "--host", "0.0.0.0", folder=tmp_path) as server:  # noqa: S104
        assert "Unauthenticated" not in server.stderr
        assert status_with(server, {}) == 401
        assert status_with(server, bearer(secret)) == 200


def test_the_banner_warns_of_an_unauthenticated_server_on_all_addresses(sqlite_url: str, tmp_path: Path) -> None:
    flags = ("--host", "0.0.0.0", "--insecure-open")  # noqa: S104
    with serving(sqlite_url, *flags, folder=tmp_path) as server:
        assert "INSECURE: UNAUTHENTICATED FOR EVERY CLIENT" in server.stderr
        assert status_with(server, {}) == 200


def test_the_banner_on_localhost_names_the_command_for_keys(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, folder=tmp_path) as server:
        assert "Unauthenticated on localhost until you create the first API key" in server.stderr
        assert "gateway keys create" in server.stderr


def test_end_users_reach_their_own_threads_and_create_tokens_for_them(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, folder=tmp_path, given=USERS) as server:
        alice, bob = (sdk(server, _user(name)) for name in ("alice", "bob"))
        thread = alice.beta.threads.create()
        with pytest.raises(openai.NotFoundError):
            bob.beta.threads.retrieve(thread.id)
        assert thread.model_extra == {"owner": "alice"}

        answer = httpx.post(
            f"{server.base_url}/graphql",
            json={"query": MINT, "variables": {"threadId": thread.id, "access": "READ"}},
            headers=bearer(_user("alice")),
            timeout=PATIENCE_S,
        )
        holder = sdk(server, answer.json()["data"]["createThreadToken"]["token"])

        assert holder.beta.threads.retrieve(thread.id).id == thread.id
        with pytest.raises(openai.PermissionDeniedError):
            holder.beta.threads.messages.create(thread.id, role="user", content="hi")
        with pytest.raises(openai.AuthenticationError):
            sdk(server, "any").beta.threads.create()


def _user(name: str) -> str:
    claims = {"iss": USERS["GATEWAY_JWT_ISSUER"], "aud": "threads", "sub": name, "exp": time.time() + 3_600}
    return jwt.encode(claims, SECRET, "HS256")
