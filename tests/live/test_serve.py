"""`gateway serve` from its first line to its end: what it says, what it finishes, what it leaves behind."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import text

from gateway.store.engines.open import open_engines
from tests.live.nursery import CAN_FORK
from tests.live.server import PATIENCE_S, ROOT, run_gateway, serving, until_refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.live.server import Server

IS_FAULTY_SQLITE = sqlite3.sqlite_version_info < (3, 44, 6)
# uvicorn raises SIGTERM again once all is done, so that whoever sent it sees it obeyed; Ctrl-C is an end like any.
STOPS = [pytest.param(signal.SIGTERM, -signal.SIGTERM, id="SIGTERM"), pytest.param(signal.SIGINT, 0, id="SIGINT")]


def make_thread(server: Server) -> str:
    thread_id: str = httpx.post(f"{server.base_url}/v1/threads", timeout=PATIENCE_S).raise_for_status().json()["id"]
    return thread_id


def test_banner_has_the_urls_for_sdks_and_browsers(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, folder=tmp_path) as server:
        assert f"OpenAI SDK   base_url=http://127.0.0.1:{server.port}/v1   (any api_key)\n" in server.stderr
        assert f"GraphQL      http://127.0.0.1:{server.port}/graphql\n" in server.stderr


def test_an_idle_server_prints_only_its_banner(database_url: str, tmp_path: Path) -> None:
    is_forked = CAN_FORK and database_url.startswith("postgresql")  # what an import says, it says once a process
    with serving(database_url, folder=tmp_path, is_forked=is_forked) as server:
        server.stop()

    assert len(server.stderr.splitlines()) == 5


def test_a_browser_at_the_root_is_led_to_a_page(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, folder=tmp_path) as server:
        asks = {"Accept": "text/html"}
        page = httpx.get(server.base_url, headers=asks, follow_redirects=True, timeout=PATIENCE_S)

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(("how", "code"), STOPS)
async def test_a_stopping_server_finishes_running_requests(
    database_url: str, tmp_path: Path, how: signal.Signals, code: int
) -> None:
    with serving(database_url, folder=tmp_path) as server:
        path = f"/v1/threads/{make_thread(server)}/messages"
        begun = [await begin_create(server, path, f"begun {n}") for n in range(50)]

        server.process.send_signal(how)
        await until_refused(server)
        answers = await asyncio.gather(*(finish_create(*each) for each in begun))
        ended = await asyncio.to_thread(server.wait)

    assert answers == [200] * 50
    assert ended == code
    assert await texts_in(database_url) == sorted(f"begun {n}" for n in range(50))
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize(("how", "code"), STOPS)
async def test_messages_acknowledged_during_shutdown_are_kept(
    database_url: str, tmp_path: Path, how: signal.Signals, code: int
) -> None:
    with serving(database_url, folder=tmp_path) as server:
        url = f"{server.base_url}/v1/threads/{make_thread(server)}/messages"
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=50), timeout=PATIENCE_S) as http:
            answers = [asyncio.create_task(http.post(url, json={"role": "user", "content": str(n)})) for n in range(50)]
            await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
            server.process.send_signal(how)
            ended = await asyncio.to_thread(server.wait)
            outcomes = await asyncio.gather(*answers, return_exceptions=True)

    kept = set(await texts_in(database_url))
    for n, outcome in enumerate(outcomes):
        if isinstance(outcome, httpx.Response):
            assert outcome.status_code == 200
            assert str(n) in kept
        else:
            assert isinstance(outcome, httpx.TransportError)
            assert str(n) not in kept  # it never began, so that whoever sends it again makes no second one
    assert ended == code


def test_a_clean_stop_leaves_one_sqlite_file(sqlite_url: str, tmp_path: Path) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with serving(sqlite_url, folder=tmp_path) as server:
        make_thread(server)
        httpx.get(f"{server.base_url}/v1/threads", timeout=PATIENCE_S).raise_for_status()
        assert file.with_name("threads.db-wal").exists()
        server.stop()

    assert list(file.parent.glob("threads.db*")) == [file]


def test_sqlite_migrates_itself_at_the_start(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'new.db'}", folder=tmp_path) as server:
        assert make_thread(server).startswith("thread_")


def test_sqlite_file_is_in_the_working_folder_by_default(tmp_path: Path) -> None:
    with serving(None, folder=tmp_path) as server:
        make_thread(server)

    assert (tmp_path / "gateway.db").exists()


@pytest.mark.parametrize("empty_database_url", ["postgres"], indirect=True)
def test_postgres_that_was_not_migrated_is_refused_until_it_is(empty_database_url: str, tmp_path: Path) -> None:
    set_url = ("--database-url", empty_database_url)

    refused = run_gateway("serve", "--port", "0", *set_url, folder=tmp_path)
    migrated = run_gateway("migrate", *set_url, folder=tmp_path)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[-1].endswith("Run: gateway migrate")
    assert (migrated.returncode, migrated.stderr) == (0, "The database is up to date.\n")
    with serving(empty_database_url, folder=tmp_path) as server:
        assert make_thread(server).startswith("thread_")


@pytest.mark.parametrize("how", [pytest.param(each, id=each.name) for each in (signal.SIGTERM, signal.SIGINT)])
def test_two_workers_share_postgres_and_stop_cleanly(postgres_url: str, tmp_path: Path, how: signal.Signals) -> None:
    is_forked = CAN_FORK and how is signal.SIGINT  # and once as users start them
    with serving(postgres_url, folder=tmp_path, given={"GATEWAY_WORKERS": "2"}, is_forked=is_forked) as server:
        ids = [make_thread(server) for _ in range(20)]
        with httpx.Client(base_url=server.base_url, timeout=PATIENCE_S) as http:
            found = [http.get(f"/v1/threads/{each}").status_code for each in ids]
        code = server.stop(how)

    assert found == [200] * 20
    assert code == 0
    assert "Traceback" not in server.stderr


@pytest.mark.skipif(not IS_FAULTY_SQLITE, reason="this Python's SQLite may be shared by several processes")
def test_two_workers_are_refused_a_sqlite_that_could_lose_messages(sqlite_url: str, tmp_path: Path) -> None:
    given = {"GATEWAY_WORKERS": "2", "GATEWAY_DATABASE_URL": sqlite_url}

    refused = run_gateway("serve", "--port", "0", folder=tmp_path, given=given)

    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: GATEWAY_WORKERS: expected 1")


def test_schema_command_prints_the_schema_of_the_repository(tmp_path: Path) -> None:
    printed = run_gateway("schema", folder=tmp_path)

    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == (ROOT / "schema.graphql").read_text()


Begun = tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]


async def begin_create(server: Server, path: str, said: str) -> Begun:
    """Send the head of a request, and wait until the server asks for its body: it has begun to answer it."""
    body = b'{"role": "user", "content": "%s"}' % said.encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head.encode())
    asked = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
    assert asked.startswith(b"HTTP/1.1 100 ")
    return reader, writer, body


async def finish_create(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    writer.write(body)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n"), PATIENCE_S)
    writer.close()
    return int(head.split()[1])


async def texts_in(url: str) -> Sequence[str]:
    """Read what messages say past the server, sorted."""
    engines = open_engines(url)
    async with engines.reader.connect() as connection:
        rows = await connection.execute(text("SELECT content FROM messages"))
        found = sorted(row[0].split('"value":"')[1].split('"')[0] for row in rows)
    await engines.dispose()
    return found
