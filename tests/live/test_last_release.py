"""The code of the last release serves a database of this version, beside servers of this version."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import httpx
import pytest

from tests.live.server import PATIENCE_S, ROOT, run_gateway, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAST_RELEASE: Final = "c6883986ae9968e3117ee9701f6081c4c92584ab"  # 0.1.0
CAN_START: Final = False  # on a newer database; versions from 0.2.0 on can

APPEND: Final = """mutation($id: ID!, $text: String!) {
  appendMessageText(input: {messageId: $id, text: $text}) { message { text } } }"""
BEGIN: Final = """mutation($id: ID!) { createMessage(input: {
  threadId: $id, role: ASSISTANT, status: IN_PROGRESS, content: {text: "begun"}}) { message { id } } }"""
FINISH: Final = "mutation($id: ID!) { finishMessage(input: {messageId: $id, status: COMPLETED}) { message { text } } }"
NEWEST: Final = "query($id: ID!) { thread(id: $id) { messages(first: 100, order: ASC) { nodes { id text } } } }"
UNMARKED: Final = "SELECT count(*) FROM messages WHERE plain_text IS NULL"


@pytest.fixture(scope="session")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the code of the last release."""
    archive = subprocess.run(
        [shutil.which("git") or "git", "archive", "--format=zip", LAST_RELEASE, "gateway", "migrations"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        assert not os.environ.get("CI"), archive.stderr
        pytest.skip("this checkout does not have the history")
    folder = tmp_path_factory.mktemp("release")
    with zipfile.ZipFile(io.BytesIO(archive.stdout)) as files:
        files.extractall(folder)
    return folder


class Client:
    """Who uses one server, by both faces."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def post(self, path: str, **body: Any) -> str:
        """Make or change an object, and give its id."""
        return str(self._http.post(f"/v1{path}", json=body).raise_for_status().json()["id"])

    def delete(self, path: str) -> None:
        """Delete an object."""
        self._http.delete(f"/v1{path}").raise_for_status()

    def texts(self, thread_id: str) -> list[str]:
        """Read a thread by both faces."""
        path = f"/v1/threads/{thread_id}/messages?limit=100&order=asc"
        of_rest = [
            each["content"][0]["text"]["value"] for each in self._http.get(path).raise_for_status().json()["data"]
        ]
        of_graphql = [each["text"] for each in self.ask(NEWEST, id=thread_id)["thread"]["messages"]["nodes"]]
        assert of_rest == of_graphql
        return of_rest

    def ask(self, query: str, **variables: str) -> dict[str, Any]:
        """Run a GraphQL operation."""
        answer = self._http.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data


@pytest.fixture
def servers(empty_database_url: str, last_release: Path, tmp_path: Path) -> Iterator[list[Client]]:
    """Serve a database by the last release, which made it, and by this version, which has migrated it meanwhile."""
    url, of_release = empty_database_url, {"PYTHONPATH": str(last_release)}
    with ExitStack() as stack:

        def start(given: dict[str, str]) -> Client:
            server = stack.enter_context(serving(url, folder=tmp_path, given=given, is_forked=not given))
            return Client(stack.enter_context(httpx.Client(base_url=server.base_url, timeout=PATIENCE_S)))

        def migrate(given: dict[str, str]) -> None:
            ran = run_gateway("migrate", "--database-url", url, folder=tmp_path, given=given, is_forked=not given)
            assert ran.returncode == 0, ran.stderr

        migrate(of_release)
        if CAN_START:
            migrate({})
            migrate(of_release)
        old = start(of_release)
        migrate({})
        yield [old, start({})]


@pytest.mark.uncounted
@pytest.mark.parametrize("empty_database_url", ["postgres"], indirect=True)
async def test_the_last_release_and_this_version_serve_one_database(
    servers: list[Client], empty_database_url: str, tmp_path: Path
) -> None:
    for one, other in (servers, servers[::-1]):
        thread_id = one.post("/threads", messages=[{"role": "user", "content": "first"}])
        other.post(f"/threads/{thread_id}/messages", role="user", content='second "quoted"')
        gone = one.post(f"/threads/{thread_id}/messages", role="user", content="gone")
        other.delete(f"/threads/{thread_id}/messages/{gone}")
        one.post(f"/threads/{thread_id}", metadata={"by": "one"})
        growing = other.ask(BEGIN, id=thread_id)["createMessage"]["message"]["id"]
        for n in range(4):
            (one, other)[n % 2].ask(APPEND, id=growing, text=f" {n}")
        texts = ["first", 'second "quoted"', "begun 0 1 2 3"]
        assert [each.texts(thread_id) for each in servers] == [texts, texts]
        assert one.ask(FINISH, id=growing)["finishMessage"]["message"]["text"] == texts[-1]
        assert [each.texts(thread_id) for each in servers] == [texts, texts]
        other.delete(f"/threads/{thread_id}")
    servers[0].post("/threads", messages=[{"role": "user", "content": "of the last release"}])

    # What it wrote is completed by the next migration.
    connection = await asyncpg.connect(empty_database_url)
    before = await connection.fetchval(UNMARKED)
    ran = run_gateway("migrate", "--database-url", empty_database_url, folder=tmp_path)
    assert (ran.returncode, before, await connection.fetchval(UNMARKED)) == (0, 1, 0)
    await connection.close()
