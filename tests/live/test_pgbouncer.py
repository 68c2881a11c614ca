"""The whole behind PgBouncer in transaction mode, with one connection that all requests share."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
import httpx
import openai
import pytest
from sqlalchemy import make_url

from tests.lacking import program
from tests.live.server import PATIENCE_S, run_gateway, serving
from tests.live.subscribing import ADDED, socket_to
from tests.pace import SLOWNESS
from tests.ports import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.live.server import Server

AT_ONCE: Final = max(6, round(40 / SLOWNESS))  # the last waits for all others, and a request waits 10 s at most
INI: Final = """
[databases]
threads = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
"""


@contextmanager
def pooled(postgres_url: str, folder: Path) -> Iterator[str]:
    """Run a PgBouncer in front of a database, and give the URL that leads through it."""
    url = make_url(postgres_url)
    host = url.query.get("host") or url.host
    facts = {"host": host, "port": url.port, "dbname": url.database, "user": url.username, "password": url.password}
    port = free_port()
    file = folder / "pgbouncer.ini"
    file.write_text(INI.format(server=" ".join(f"{name}={fact}" for name, fact in facts.items() if fact), port=port))
    # It does not run as root; PostgreSQL's socket, where it listens on one, is open to its own user.
    user = Path(str(host)).owner() if Path(str(host)).is_dir() else "nobody"
    whoever = ("-u", user) if os.geteuid() == 0 else ()
    with subprocess.Popen([program("pgbouncer"), "-q", *whoever, file]) as process:
        wait_for(port)
        yield f"postgresql://gateway@127.0.0.1:{port}/threads"
        process.terminate()


@pytest.fixture(scope="module")
def direct_url(new_postgres_url: Callable[[], str]) -> str:
    return new_postgres_url()


@pytest.fixture(scope="module")
def pooler_url(direct_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pooled(direct_url, tmp_path_factory.mktemp("pgbouncer")) as url:
        yield url


@pytest.fixture(scope="module")
def server(pooler_url: str, direct_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve through the pooler, by two processes that hear of each other past it."""
    given = {"GATEWAY_LISTEN_URL": direct_url, "GATEWAY_WORKERS": "2"}
    folder = tmp_path_factory.mktemp("pooled")
    with serving(f"{pooler_url}?pgbouncer=transaction", folder=folder, given=given) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _is_there() -> None:
    program("pgbouncer")


@pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning")
async def test_an_sdk_works(server: Server) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="any") as sdk:
        thread = await sdk.beta.threads.create(messages=[{"role": "user", "content": "0"}])
        for n in range(1, 5):
            await sdk.beta.threads.messages.create(thread.id, role="user", content=str(n))
        listed = sdk.beta.threads.messages.list(thread.id, order="asc", limit=2)
        said = [part.text.value async for each in listed for part in each.content if part.type == "text"]
        await sdk.beta.threads.delete(thread.id)

    assert said == [*"01234"]


async def test_requests_at_once_are_all_answered(server: Server) -> None:
    query = "{ threads(first: 20) { nodes { id metadata messages(last: 5) { totalCount nodes { text } } } } }"
    async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
        body = {"messages": [{"role": "user", "content": "Hello"}], "metadata": {"a": "b"}}
        made = await asyncio.gather(*(http.post("/v1/threads", json=body) for _ in range(AT_ONCE)))
        paths = [f"/v1/threads/{each.json()['id']}/messages" for each in made]
        asked = [http.post("/graphql", json={"query": query}) for _ in range(AT_ONCE // 2)]
        answers = await asyncio.gather(*(http.get(path) for path in paths), *asked)

    assert {each.status_code for each in (*made, *answers)} == {200}
    assert not [each for each in answers if "errors" in each.json()]


async def test_a_follower_receives_messages_added_by_another_process(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
        thread_id = (await http.post("/v1/threads")).json()["id"]
        async with socket_to(server.base_url) as one, socket_to(server.base_url) as two:
            for follower in (one, two):
                await follower.subscribe(ADDED, threadId=thread_id, after="0")
            for n in range(5):
                url = f"{server.base_url}/v1/threads/{thread_id}/messages"
                await asyncio.to_thread(httpx.post, url, json={"role": "user", "content": str(n)}, timeout=PATIENCE_S)

            assert [await each.texts(5) for each in (one, two)] == [[*"01234"]] * 2


async def test_no_prepared_statement_is_left_behind(server: Server, pooler_url: str) -> None:
    async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
        (await http.get("/v1/threads")).raise_for_status()
    connection = await asyncpg.connect(pooler_url, statement_cache_size=0)
    async with connection.transaction():
        left = await connection.fetch("SELECT name FROM pg_prepared_statements WHERE name <> ''")
    await connection.close()

    assert left == []


@pytest.mark.usefixtures("postgres_url")  # which empties it
def test_commands_work_through_pgbouncer(server: Server, pooler_url: str, tmp_path: Path) -> None:
    httpx.post(f"{server.base_url}/v1/threads", timeout=PATIENCE_S).raise_for_status()
    set_url = ("--database-url", f"{pooler_url}?pgbouncer=transaction")

    ran = [
        run_gateway(*each, *set_url, folder=tmp_path)
        for each in (("migrate",), ("export", "-o", "out.jsonl"), ("import", "out.jsonl"))
    ]

    assert [each.returncode for each in ran] == [0, 0, 0], [each.stderr for each in ran]
    assert (tmp_path / "out.jsonl").stat().st_size > 0


def test_serving_through_pgbouncer_without_a_listen_url_is_refused(pooler_url: str, tmp_path: Path) -> None:
    ran = run_gateway("serve", "--database-url", f"{pooler_url}?pgbouncer=transaction", folder=tmp_path)

    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: GATEWAY_LISTEN_URL: expected ")
